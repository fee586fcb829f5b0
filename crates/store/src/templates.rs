//! The templates that were asked for, so that they are there again after a restart.

use std::sync::{Mutex, PoisonError};

use api::error::{Error, ErrorCode};
use api::template::TemplateCreate;
use rusqlite::{Connection, params};

use crate::Result;
use crate::database::{Database, sql_error};

/// The store of templates. Every call touches the disk.
#[derive(Debug)]
pub struct Templates {
    sql: Mutex<Connection>,
}

impl Templates {
    /// Opens the store.
    ///
    /// # Errors
    /// `internal` or `resource_exhausted` when the database cannot be used.
    pub fn open(database: &Database) -> Result<Self> {
        Ok(Self { sql: Mutex::new(database.connect().map_err(|e| sql_error(&e))?) })
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// `internal` when the database fails or holds what this build cannot read.
    pub fn all(&self) -> Result<Vec<(String, TemplateCreate)>> {
        let sql = self.sql.lock().unwrap_or_else(PoisonError::into_inner);
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            sql.prepare("SELECT name, spec FROM templates ORDER BY name")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        let rows = read().map_err(|e| sql_error(&e))?;
        let parse = |(name, spec): (String, String)| match serde_json::from_str(&spec) {
            Ok(spec) => Ok((name, spec)),
            Err(error) => {
                Err(Error::new(ErrorCode::Internal, format!("the stored template {name:?}: {error}")))
            }
        };
        rows.into_iter().map(parse).collect()
    }

    /// Keeps one; an older one of that name is replaced.
    ///
    /// # Errors
    /// `internal` or `resource_exhausted` when the database fails.
    pub fn put(&self, name: &str, spec: &TemplateCreate) -> Result<()> {
        let text = serde_json::to_string(spec).map_err(|e| Error::new(ErrorCode::Internal, e.to_string()))?;
        let sql = self.sql.lock().unwrap_or_else(PoisonError::into_inner);
        sql.execute("INSERT OR REPLACE INTO templates (name, spec) VALUES (?1, ?2)", params![name, text])
            .map_err(|e| sql_error(&e))?;
        Ok(())
    }

    /// Forgets one; nothing happens when there is none.
    ///
    /// # Errors
    /// `internal` when the database fails.
    pub fn remove(&self, name: &str) -> Result<()> {
        let sql = self.sql.lock().unwrap_or_else(PoisonError::into_inner);
        sql.execute("DELETE FROM templates WHERE name = ?1", [name]).map_err(|e| sql_error(&e))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_there_after_the_next_open() {
        let folder = tempfile::tempdir().unwrap();
        let spec = TemplateCreate { module: "python".into(), ttl_s: Some(5), ..TemplateCreate::default() };
        {
            let templates = Templates::open(&Database::open(folder.path()).unwrap()).unwrap();
            templates.put("py", &TemplateCreate::default()).unwrap();
            templates.put("py", &spec).unwrap();
            templates.put("gone", &spec).unwrap();
            templates.remove("gone").unwrap();
        }
        let templates = Templates::open(&Database::open(folder.path()).unwrap()).unwrap();
        assert_eq!(templates.all().unwrap(), [("py".to_owned(), spec)]);
    }
}
