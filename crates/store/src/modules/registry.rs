//! The registry's rows.

use api::module::{ArtifactState, ModuleExport, ModuleImport, ModuleKind};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::check::Facts;

type Sql<T> = rusqlite::Result<T>;

/// A row of `contents` as the index needs it.
#[derive(Debug)]
pub(super) struct ContentRow {
    pub(super) digest: String,
    pub(super) kind: ModuleKind,
    pub(super) size: u64,
    pub(super) anonymous: bool,
    pub(super) created_at: u64,
}

/// How compiling ended, as it was noted.
#[derive(Debug)]
pub(super) struct ArtifactRow {
    pub(super) size: u64,
    pub(super) compile_ms: u64,
    pub(super) why: Option<String>,
}

pub(super) fn contents(sql: &Connection) -> Sql<Vec<ContentRow>> {
    let row = |row: &Row<'_>| {
        Ok(ContentRow {
            digest: row.get(0)?,
            kind: if row.get_ref(1)?.as_str()? == "component" {
                ModuleKind::Component
            } else {
                ModuleKind::Core
            },
            size: row.get(2)?,
            anonymous: row.get(3)?,
            created_at: row.get(4)?,
        })
    };
    sql.prepare("SELECT digest, kind, size, anonymous, created_at FROM contents")?
        .query_map([], row)?
        .collect()
}

/// Name, digest and time of registration.
pub(super) fn names(sql: &Connection) -> Sql<Vec<(String, String, u64)>> {
    sql.prepare("SELECT name, digest, created_at FROM names")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect()
}

pub(super) fn interface(sql: &Connection, digest: &str) -> Sql<(Vec<ModuleImport>, Vec<ModuleExport>)> {
    let text = |column, e: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, e.into())
    };
    sql.prepare_cached("SELECT imports, exports FROM contents WHERE digest = ?1")?
        .query_row([digest], |row| {
            let imports = serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(|e| text(0, e))?;
            let exports = serde_json::from_str(row.get_ref(1)?.as_str()?).map_err(|e| text(1, e))?;
            Ok((imports, exports))
        })
        .optional()
        .map(Option::unwrap_or_default)
}

pub(super) fn add_content(sql: &Connection, row: &ContentRow, facts: &Facts) -> Sql<()> {
    let json = |e: serde_json::Error| rusqlite::Error::ToSqlConversionFailure(e.into());
    let kind = match row.kind {
        ModuleKind::Core => "core",
        ModuleKind::Component => "component",
    };
    sql.prepare_cached(
        "INSERT OR REPLACE INTO contents (digest, kind, size, imports, exports, anonymous, created_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        row.digest,
        kind,
        row.size,
        serde_json::to_string(&facts.imports).map_err(json)?,
        serde_json::to_string(&facts.exports).map_err(json)?,
        row.anonymous,
        row.created_at
    ])?;
    Ok(())
}

pub(super) fn set_anonymous(sql: &Connection, digest: &str) -> Sql<()> {
    sql.execute("UPDATE contents SET anonymous = 1 WHERE digest = ?1", [digest]).map(drop)
}

pub(super) fn set_name(sql: &Connection, name: &str, digest: &str, created_at: u64) -> Sql<()> {
    sql.prepare_cached("INSERT OR REPLACE INTO names (name, digest, created_at) VALUES (?1, ?2, ?3)")?
        .execute(params![name, digest, created_at])
        .map(drop)
}

pub(super) fn remove_name(sql: &Connection, name: &str) -> Sql<()> {
    sql.execute("DELETE FROM names WHERE name = ?1", [name]).map(drop)
}

pub(super) fn remove_content(sql: &Connection, digest: &str) -> Sql<()> {
    let transaction = sql.unchecked_transaction()?;
    for table in ["contents", "artifacts", "sources"] {
        transaction.execute(&format!("DELETE FROM {table} WHERE digest = ?1"), [digest])?;
    }
    transaction.commit()
}

pub(super) fn artifact(sql: &Connection, digest: &str, tag: &str) -> Sql<Option<ArtifactRow>> {
    sql.prepare_cached("SELECT size, compile_ms, why FROM artifacts WHERE digest = ?1 AND tag = ?2")?
        .query_row([digest, tag], |row| {
            Ok(ArtifactRow { size: row.get(0)?, compile_ms: row.get(1)?, why: row.get(2)? })
        })
        .optional()
}

/// Notes an end; a state that is none leaves no row.
pub(super) fn set_artifact(sql: &Connection, digest: &str, tag: &str, state: &ArtifactState) -> Sql<()> {
    let (size, compile_ms, why) = match state {
        ArtifactState::Compiled { size, compile_ms } => (*size, *compile_ms, None),
        ArtifactState::Failed { why } => (0, 0, Some(why)),
        ArtifactState::Interpreted | ArtifactState::Compiling => {
            return sql
                .execute("DELETE FROM artifacts WHERE digest = ?1 AND tag = ?2", [digest, tag])
                .map(drop);
        }
    };
    sql.prepare_cached(
        "INSERT OR REPLACE INTO artifacts (digest, tag, size, compile_ms, why) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![digest, tag, size, compile_ms, why])
    .map(drop)
}
