//! Where in Google's cloud a project's models run: part of the address.

/// A project, and a location of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    project: String,
    location: String,
}

/// Why a place cannot be part of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlace {
    #[error("a project has 1 to 64 letters, digits, `-`, `.` or `:`")]
    Project,
    #[error("a location has 1 to 32 small letters, digits or `-`, such as `europe-west4` or `global`")]
    Location,
}

impl Place {
    /// Where Google's own SDKs go if they are told of none.
    pub const EVERYWHERE: &str = "global";

    /// Both become part of an address, `location` of its host too, so nothing that could lead elsewhere is let in.
    pub fn new(project: &str, location: &str) -> Result<Self, InvalidPlace> {
        let is = |text: &str, most: usize, legal: fn(char) -> bool| {
            (1..=most).contains(&text.len()) && text.chars().all(legal)
        };
        if !is(project, 64, |it| it.is_ascii_alphanumeric() || "-.:".contains(it)) {
            return Err(InvalidPlace::Project);
        }
        if !is(location, 32, |it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-') {
            return Err(InvalidPlace::Location);
        }
        Ok(Self { project: project.to_owned(), location: location.to_owned() })
    }

    /// Fills `{project}` and `{location}` into an address. The host of `global` has no location before it, and that of a
    /// multi-region (`us`, `eu`) is made in another way (`google-genai` 3.4, `_api_client.py`).
    pub fn fill(&self, address: &str) -> String {
        const REGIONAL: &str = "://{location}-aiplatform.googleapis.com";
        let host = match self.location.as_str() {
            "global" => "://aiplatform.googleapis.com".to_owned(),
            it @ ("us" | "eu") => format!("://aiplatform.{it}.rep.googleapis.com"),
            it => format!("://{it}-aiplatform.googleapis.com"),
        };
        address
            .replace(REGIONAL, &host)
            .replace("{location}", &self.location)
            .replace("{project}", &self.project)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_location_has_its_host() {
        let fill = |location, address| Place::new("my-project", location).unwrap().fill(address);
        let template =
            "https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}";
        let rows = [
            ("us-central1", "https://us-central1-aiplatform.googleapis.com"),
            ("global", "https://aiplatform.googleapis.com"),
            ("eu", "https://aiplatform.eu.rep.googleapis.com"),
        ];
        for (location, host) in rows {
            let expected = format!("{host}/v1/projects/my-project/locations/{location}");
            assert_eq!(fill(location, template), expected);
        }
        assert_eq!(fill("global", "https://h/{location}/{project}"), "https://h/global/my-project");
    }

    #[test]
    fn nothing_leads_elsewhere() {
        for location in ["", "evil.example/", "a.b", "US", "x@y", "{project}", &"a".repeat(33)] {
            assert_eq!(Place::new("p", location), Err(InvalidPlace::Location), "{location}");
        }
        for project in ["", "a/b", "..\\", "p?x", "{location}"] {
            assert_eq!(Place::new(project, "global"), Err(InvalidPlace::Project), "{project}");
        }
        assert!(Place::new("example.com:old-project", "global").is_ok());
    }
}
