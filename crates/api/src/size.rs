//! Sizes as people read them.

/// A size: `512 B`, `1.2 MiB`.
#[must_use]
pub fn bytes(size: u64) -> String {
    let mut value = size as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        // So that 1023.97 KiB are not shown as 1024.0 KiB.
        if value < 1023.95 {
            break;
        }
        value /= 1024.0;
        unit = larger;
    }
    if unit == "B" { format!("{size} B") } else { format!("{value:.1} {unit}") }
}

/// A size in KiB, as the API counts memory.
#[must_use]
pub fn kib(size: u64) -> String {
    bytes(size.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (size, text) in
            [(0, "0 B"), (512, "512 B"), (1024, "1.0 KiB"), (1_258_291, "1.2 MiB"), (1_048_575, "1.0 MiB")]
        {
            assert_eq!(bytes(size), text);
        }
    }
}
