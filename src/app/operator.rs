//! The operator's secret: made and shown once at the first start, kept as a hash.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use anyhow::Context;

use crate::operator::OperatorSecret;

/// Reads what is kept, or makes a secret and prints it.
#[expect(clippy::print_stdout, reason = "the one time the secret is shown")]
pub fn secret(data_dir: &Path) -> anyhow::Result<OperatorSecret> {
    let path = data_dir.join("operator.hash");
    if let Some(kept) = kept(&path)? {
        return Ok(kept);
    }
    let (text, secret) = OperatorSecret::generate()?;
    match keep(&path, secret.hash()) {
        Ok(()) => {
            println!("Operator secret, shown this once: {text}");
            Ok(secret)
        }
        // Another process was faster, and has shown its own.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            kept(&path)?.context("the operator's secret was removed")
        }
        Err(error) => Err(error).context("the operator's secret cannot be kept"),
    }
}

fn kept(path: &Path) -> anyhow::Result<Option<OperatorSecret>> {
    match fs::read_to_string(path) {
        Ok(hash) => Ok(Some(OperatorSecret::of(hash.trim().to_owned()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("the operator's secret cannot be read"),
    }
}

/// Writes the hash beside `path`, then links it there: whoever sees `path` sees all of it, and nobody's is replaced.
fn keep(path: &Path, hash: &str) -> io::Result<()> {
    let draft = path.with_extension(format!("{}.new", uuid::Uuid::new_v4().simple()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let outcome = file
        .write_all(hash.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_s_secret_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("operator.hash");
        keep(&path, "first").unwrap();
        assert_eq!(keep(&path, "second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(kept(&path).unwrap().unwrap().hash(), "first");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
