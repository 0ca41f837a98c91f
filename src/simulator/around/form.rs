//! Multipart forms, read.

use bytes::Bytes;
use memchr::memmem;
use serde_json::{Map, Value, json};

/// A file in a form.
#[derive(Clone, Debug)]
pub(in crate::simulator) struct File {
    pub field: String,
    pub name: String,
    pub content: Bytes,
}

/// The fields as an object, and the files; nothing if the form is broken.
pub(in crate::simulator) fn read(content_type: &str, body: &Bytes) -> Option<(Value, Vec<File>)> {
    let boundary =
        content_type.split(';').find_map(|it| it.trim().strip_prefix("boundary="))?.trim_matches('"');
    let mark = format!("--{boundary}");
    let mut fields = Map::new();
    let mut files = Vec::new();
    let mut rest = body.slice(memmem::find(body, mark.as_bytes())? + mark.len()..);
    while !rest.starts_with(b"--") {
        let end = memmem::find(&rest, mark.as_bytes())?;
        part(&rest.slice(..end), &mut fields, &mut files)?;
        rest = rest.slice(end + mark.len()..);
    }
    Some((Value::Object(fields), files))
}

fn part(part: &Bytes, fields: &mut Map<String, Value>, files: &mut Vec<File>) -> Option<()> {
    let at = memmem::find(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&part[..at]).ok()?;
    let content = part.slice(at + 4..part.len().checked_sub(2)?);
    let line = head.lines().find(|it| it.to_ascii_lowercase().starts_with("content-disposition:"))?;
    let said = |name: &str| {
        let mut parts = line.split(';').map(str::trim);
        parts
            .find_map(|it| it.strip_prefix(name)?.strip_prefix('='))
            .map(|it| it.trim_matches('"').to_owned())
    };
    let field = said("name")?;
    match said("filename") {
        Some(name) => {
            fields.insert(field.clone(), json!({"filename": name, "bytes": content.len()}));
            files.push(File { field, name, content });
        }
        None => {
            fields.insert(field, Value::from(String::from_utf8_lossy(&content)));
        }
    }
    Some(())
}
