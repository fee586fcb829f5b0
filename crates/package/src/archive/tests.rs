use std::fs::{self, File};
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::path::Path;

use tar::{EntryType, Header};
use zip::write::SimpleFileOptions;

use super::*;

const LIMITS: Limits = Limits { bytes: 64 << 20, file_bytes: 32 << 20, files: 100, ratio: 200 };

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

fn unpacked(bytes: &[u8], limits: Limits) -> Result<(tempfile::TempDir, Unpacked), Error> {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("in");
    fs::create_dir(&into).unwrap();
    let result = unpack(&mut file_of(bytes), &into, limits);
    // Whatever came in, nothing lies beside the folder.
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    result.map(|done| (dir, done))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// A tar with these entries; names are written as they are.
fn tar_of(entries: &[(&[u8], EntryType, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(*kind);
        header.set_mode(0o777);
        header.set_size(content.len() as u64);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        archive.append(&header, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        match name.strip_suffix('/') {
            Some(folder) => archive.add_directory(folder, SimpleFileOptions::default()).unwrap(),
            None => {
                let options =
                    SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
                archive.start_file(*name, options).unwrap();
                archive.write_all(content).unwrap();
            }
        }
    }
    archive.finish().unwrap().into_inner()
}

const REGULAR: EntryType = EntryType::Regular;

#[test]
fn a_folder_comes_out_as_it_went_in_and_always_as_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [("app.qyv", "name: a"), ("b/c/d.wasm", "\0asm"), (".git/config", "x"), ("b/.x", "")]
    {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let packed = || {
        let mut bytes = Vec::new();
        pack(&Files::below(dir.path(), LIMITS).unwrap(), &mut bytes).unwrap();
        bytes
    };
    let first = packed();
    File::open(dir.path().join("app.qyv")).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(first, packed());
    let (out, done) = unpacked(&first, LIMITS).unwrap();
    assert_eq!(done, Unpacked { files: 2, bytes: 11 });
    let read = |name: &str| fs::read_to_string(out.path().join("in").join(name)).unwrap();
    assert_eq!((read("app.qyv").as_str(), read("b/c/d.wasm").as_str()), ("name: a", "\0asm"));
    assert!(!out.path().join("in/.git").exists() && !out.path().join("in/b/.x").exists());
}

#[test]
fn links_are_not_packed() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
    let error = Files::below(dir.path(), LIMITS).unwrap_err();
    assert!(error.to_string().contains("\"link\""), "{error}");
}

#[test]
fn all_formats_are_known_by_their_first_bytes() {
    let tar = tar_of(&[(b"./", EntryType::Directory, b""), (b"./a/b", REGULAR, b"text")]);
    for bytes in [tar.clone(), gzip(&tar), zip_of(&[("a/", b""), ("a/b", b"text")])] {
        let (out, done) = unpacked(&bytes, LIMITS).unwrap();
        assert_eq!(done.bytes, 4);
        assert_eq!(fs::read(out.path().join("in/a/b")).unwrap(), b"text");
    }
    for bytes in [&b""[..], b"\0asm\x01\0\0\0", b"PK\x03\x04 and no more", b"\x1f\x8b no gzip"] {
        let error = unpacked(bytes, LIMITS).unwrap_err();
        assert!(matches!(error, Error::Broken(_)), "{error}");
    }
}

#[test]
fn what_no_package_may_have_is_refused_by_name() {
    let deep = "d/".repeat(MAX_DEPTH) + "f";
    let rows: [(&[u8], EntryType, &str); 14] = [
        (b"../up", REGULAR, "leaves"),
        (b"a/../../up", REGULAR, "leaves"),
        (b"/etc/cron.d/x", REGULAR, "absolute"),
        (b"a//b", REGULAR, "empty segment"),
        (b"a/./b", REGULAR, "empty segment"),
        (b"a\\..\\b", REGULAR, "backslash"),
        (b"a\x07b", REGULAR, "control"),
        (b"caf\xe9", REGULAR, "UTF-8"),
        (deep.as_bytes(), REGULAR, "deep"),
        (b"link", EntryType::Symlink, "link"),
        (b"link", EntryType::Link, "link"),
        (b"pipe", EntryType::Fifo, "neither"),
        (b"disk", EntryType::Block, "neither"),
        (b"tty", EntryType::Char, "neither"),
    ];
    for (name, kind, why) in rows {
        let tar = tar_of(&[(b"good", REGULAR, b"1"), (name, kind, b"")]);
        for bytes in [tar.clone(), gzip(&tar)] {
            let error = unpacked(&bytes, LIMITS).unwrap_err();
            assert!(matches!(error, Error::Refused { .. }) && error.to_string().contains(why), "{error}");
        }
        if let (Ok(name), REGULAR) = (std::str::from_utf8(name), kind) {
            let error = unpacked(&zip_of(&[("good", b"1"), (name, b"2")]), LIMITS).unwrap_err();
            assert!(matches!(error, Error::Refused { .. }), "{name}: {error}");
        }
    }
    let twice = tar_of(&[(b"a", REGULAR, b"1"), (b"./a", REGULAR, b"2")]);
    assert!(unpacked(&twice, LIMITS).unwrap_err().to_string().contains("twice"));
    let both = tar_of(&[(b"a", REGULAR, b"1"), (b"a/b", REGULAR, b"2")]);
    assert!(unpacked(&both, LIMITS).unwrap_err().to_string().contains("folder"));
}

#[test]
fn a_link_in_a_zip_is_refused() {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    archive.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
    let bytes = archive.finish().unwrap().into_inner();
    assert!(unpacked(&bytes, LIMITS).unwrap_err().to_string().contains("link"));
}

#[test]
fn bombs_end_early() {
    let zeros = vec![0; 60 << 20];
    let small = Limits { bytes: u64::MAX, file_bytes: u64::MAX, ..LIMITS };
    let tar = gzip(&tar_of(&[(b"a", REGULAR, &zeros)]));
    let zip = zip_of(&[("a", &zeros)]);
    for bytes in [&tar, &zip] {
        let error = unpacked(bytes, small).unwrap_err();
        assert!(matches!(&error, Error::TooLarge(why) if why.contains("200 times")), "{error}");
        let error = unpacked(bytes, Limits { ratio: u64::MAX, ..LIMITS }).unwrap_err();
        assert!(matches!(&error, Error::TooLarge(why) if why.contains("larger than")), "{error}");
        let error = unpacked(bytes, Limits { ratio: u64::MAX, bytes: 1 << 20, ..LIMITS }).unwrap_err();
        assert!(matches!(&error, Error::TooLarge(why) if why.contains("unpacks to")), "{error}");
    }
    let names: Vec<String> = (0..=LIMITS.files).map(|index| format!("f{index}")).collect();
    let entries: Vec<(&[u8], EntryType, &[u8])> =
        names.iter().map(|name| (name.as_bytes(), REGULAR, &b""[..])).collect();
    assert!(matches!(unpacked(&tar_of(&entries), LIMITS), Err(Error::TooLarge(_))));
    // Bytes that are no file's content: an endless long name.
    let long = tar_of(&[(b"././@LongLink", EntryType::GNULongName, &zeros), (b"a", REGULAR, b"")]);
    assert!(unpacked(&gzip(&long), LIMITS).is_err());
}

#[test]
fn what_was_cut_is_not_whole() {
    let content: Vec<u8> =
        (0..100_000_u32).flat_map(|number| (number.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    let tar = tar_of(&[(b"a", REGULAR, &content)]);
    for whole in [tar.clone(), gzip(&tar), zip_of(&[("a", &content)])] {
        assert!(unpacked(&whole, LIMITS).is_ok());
        for cut in [600, whole.len() / 2] {
            let error = unpacked(&whole[..cut], LIMITS).unwrap_err();
            assert!(matches!(error, Error::Broken(_)), "{error}");
        }
    }
    let gz = gzip(&tar);
    assert!(unpacked(&gz[..gz.len() - 1], LIMITS).is_err(), "the sum at the end is missed");
}

#[test]
fn formats_by_name_and_by_media_type() {
    assert_eq!(Format::of_name(Path::new("x/a.TAR.gz")), Some(Format::TarGz));
    assert_eq!(Format::of_name(Path::new("a.zip")), Some(Format::Zip));
    assert_eq!(Format::of_name(Path::new("a.wasm")), None);
    for format in [Format::Tar, Format::TarGz, Format::Zip] {
        assert!(Format::takes(format.media_type()));
    }
    assert!(Format::takes("Application/Zip; x=y") && !Format::takes("application/json"));
}
