//! Folders, variables and connections that a guest is given.

use std::path::Path;

use api::Permissions;
use api::permission::{Destination, Net};
use api::session::{DirGrant, DirMode};

/// Reads `HOST[::GUEST][:ro|:rw]`. The guest sees the folder under the name that was typed, unless told otherwise.
pub(crate) fn dir(text: &str) -> Result<DirGrant, String> {
    let (rest, mode) = match text.rsplit_once(':') {
        Some((rest, "ro")) => (rest, DirMode::Read),
        Some((rest, "rw")) => (rest, DirMode::ReadWrite),
        _ => (text, DirMode::Read),
    };
    let (host, guest) = rest.split_once("::").unwrap_or((rest, rest));
    if host.is_empty() || guest.is_empty() {
        return Err("say HOST, HOST::GUEST, and :ro or :rw behind it".to_owned());
    }
    let real = Path::new(host).canonicalize().map_err(|error| format!("{host}: {error}"))?;
    if !real.is_dir() {
        return Err(format!("{host} is not a folder"));
    }
    let Some(real) = real.to_str() else {
        return Err(format!("{host} has a name that is not UTF-8"));
    };
    Ok(DirGrant { host: real.to_owned(), guest: Some(guest.to_owned()), mode })
}

/// Reads `NAME=VALUE`, or `NAME` for the value that it has here.
pub(crate) fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => (text, std::env::var(text).map_err(|error| format!("{text}: {error}"))?),
    };
    if name.is_empty() { Err("a variable needs a name".to_owned()) } else { Ok((name.to_owned(), value)) }
}

/// Reads `NAME=VALUE` of a label.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("say NAME=VALUE".to_owned()),
    }
}

/// Where a guest may connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Everywhere.
    Any,
    /// To this host and port.
    To(Destination),
}

/// Reads `HOST:PORT`, or `any`.
pub(crate) fn net(text: &str) -> Result<Reach, String> {
    match text {
        "any" => Ok(Reach::Any),
        _ => text.parse().map(Reach::To).map_err(|error| format!("{error}; or say any")),
    }
}

/// What all of them grant together.
pub(crate) fn permissions(reach: Vec<Reach>) -> Permissions {
    let listed = reach.into_iter().map(|one| match one {
        Reach::Any => None,
        Reach::To(destination) => Some(destination),
    });
    let net = match listed.collect::<Option<Vec<_>>>() {
        None => Net::Anything,
        Some(list) if list.is_empty() => Net::Nothing,
        Some(list) => Net::Listed(list),
    };
    Permissions { net, ..Permissions::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_all_its_forms() {
        let temp = tempfile::tempdir().unwrap();
        let host = temp.path().canonicalize().unwrap().to_str().unwrap().to_owned();
        let grant = |guest: &str, mode| DirGrant { host: host.clone(), guest: Some(guest.into()), mode };
        assert_eq!(dir(&host), Ok(grant(&host, DirMode::Read)));
        assert_eq!(dir(&format!("{host}:ro")), Ok(grant(&host, DirMode::Read)));
        assert_eq!(dir(&format!("{host}::/data:rw")), Ok(grant("/data", DirMode::ReadWrite)));
        assert_eq!(dir(&format!("{host}/.::.")), Ok(grant(".", DirMode::Read)));
        assert_eq!(dir(&format!("{host}::/odd:name")), Ok(grant("/odd:name", DirMode::Read)));
    }

    #[test]
    fn a_folder_that_is_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(dir(file.path().to_str().unwrap()).unwrap_err().contains("not a folder"));
        assert!(
            dir("/missing/folder").is_err()
                && dir("").is_err()
                && dir("::/x").is_err()
                && dir("/::").is_err()
        );
    }

    #[test]
    fn variables_with_and_without_a_value() {
        assert_eq!(variable("A=b=c"), Ok(("A".into(), "b=c".into())));
        assert_eq!(variable("A="), Ok(("A".into(), String::new())));
        assert_eq!(variable("PATH"), Ok(("PATH".into(), std::env::var("PATH").unwrap())));
        assert!(variable("HERO_TEST_IS_NOT_SET").is_err() && variable("=x").is_err());
        assert_eq!(label("a=b"), Ok(("a".into(), "b".into())));
        assert!(label("a").is_err());
    }

    #[test]
    fn connections_are_none_some_or_all() {
        let granted = |texts: &[&str]| permissions(texts.iter().map(|text| net(text).unwrap()).collect()).net;
        assert_eq!(granted(&[]), Net::Nothing);
        let one = "example.org:443".parse().unwrap();
        assert_eq!(granted(&["Example.org:443"]), Net::Listed(vec![one]));
        assert_eq!(granted(&["example.org:443", "any"]), Net::Anything);
        assert!(net("example.org").unwrap_err().contains("any"));
    }
}
