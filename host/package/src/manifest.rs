//! Members of a manifest, read with the JSON path of whatever is wrong.

use crate::error::{PackageError, Result};
use crate::records;
use mix_value::escjson::Mode;
use mix_value::{Map, Value};

/// A JSON object of an entry.
pub(crate) fn object(entry: &str, bytes: &[u8]) -> Result<Map> {
    match records::json(entry, bytes, Mode::Plain, 0) {
        Ok(Value::Map(members)) => Ok(members),
        Ok(_) => Err(PackageError::bad_manifest("$", "an object is expected").at(entry)),
        Err(error) => Err(error.as_code("bad_manifest")),
    }
}

/// A map that is being read, and where it stands.
#[derive(Clone)]
pub(crate) struct Members<'a> {
    map: &'a Map,
    path: String,
    entry: &'a str,
}

impl<'a> Members<'a> {
    pub fn new(map: &'a Map, entry: &'a str) -> Members<'a> {
        Members {
            map,
            path: "$".to_owned(),
            entry,
        }
    }

    /// The path of a member.
    pub fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// The failure that a member is not what it should be.
    pub fn wrong(&self, name: &str, message: &str) -> PackageError {
        PackageError::bad_manifest(&self.path(name), message).at(self.entry)
    }

    /// Null counts as absent.
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "a string is expected")),
        }
    }

    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(name, "true or false is expected")),
        }
    }

    pub fn members(&self, name: &str) -> Result<Option<Members<'a>>> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Map(map)) => Ok(Some(Members {
                map,
                path: self.path(name),
                entry: self.entry,
            })),
            Some(_) => Err(self.wrong(name, "an object is expected")),
        }
    }

    /// Names and values, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        self.map.iter().map(|(name, value)| (name.as_ref(), value))
    }

    pub fn objects(&self, name: &str) -> Result<Vec<Members<'a>>> {
        let items = self.list(name)?;
        let mut found = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let place = format!("{name}[{number}]");
            let Value::Map(map) = item else {
                return Err(self.wrong(&place, "an object is expected"));
            };
            found.push(Members {
                map,
                path: self.path(&place),
                entry: self.entry,
            });
        }
        Ok(found)
    }

    pub fn texts(&self, name: &str) -> Result<Vec<&'a str>> {
        let items = self.list(name)?;
        let mut found = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let Value::String(text) = item else {
                return Err(self.wrong(&format!("{name}[{number}]"), "a string is expected"));
            };
            found.push(text.as_ref());
        }
        Ok(found)
    }

    fn list(&self, name: &str) -> Result<&'a [Value]> {
        match self.value(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.wrong(name, "an array is expected")),
        }
    }
}
