//! Amounts of memory as people write them.

/// Reads an amount in MiB: `64`, `64M`, `64MiB`, `1G`, `65536K`. The API counts whole MiB, so less than one is
/// refused and fractions are rounded up.
pub(crate) fn mebibytes(text: &str) -> Result<u32, String> {
    let strange = || format!("`{text}` is not an amount of memory; say 64M, 1G, or a number of MiB");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| strange())?;
    let bytes_each: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "m" | "mb" | "mib" => 1 << 20,
        "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(strange()),
    };
    let bytes = number.checked_mul(bytes_each).ok_or_else(strange)?;
    match u32::try_from(bytes.div_ceil(1 << 20)) {
        Ok(0) => Err("memory has to be 1 MiB or more".to_owned()),
        Ok(size) => Ok(size),
        Err(_) => Err(strange()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_none() {
        for (text, size) in
            [("64", 64), ("64M", 64), ("64MiB", 64), ("64 mb", 64), ("1G", 1024), ("65536K", 64)]
        {
            assert_eq!(mebibytes(text), Ok(size), "{text}");
        }
        assert_eq!(mebibytes("1500K"), Ok(2));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "M", "0", "-1", "1.5G", "64X", "99999999999999999999", "99999999999G"] {
            assert!(mebibytes(text).is_err(), "{text}");
        }
    }
}
