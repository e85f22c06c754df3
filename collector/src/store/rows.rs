//! Reading columns: what cannot be is refused by name, never a panic.

use std::fmt::Display;

use sqlx::Decode;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgTypeInfo, PgValueFormat, PgValueRef, Postgres};
use thiserror::Error;

/// A row that holds what the collector never writes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "table {table}, {row}: column {column} holds {value}, which cannot be; the row was changed by hand or is damaged"
)]
pub struct RowError {
    pub table: &'static str,
    /// Which row, in words.
    pub row: String,
    pub column: &'static str,
    pub value: String,
}

/// Names the row of a refusal; in words only once there is one.
pub(super) struct RowName<Row = String> {
    pub table: &'static str,
    pub row: Row,
}

impl<Row: Display> RowName<Row> {
    pub fn refuse(&self, column: &'static str, value: &impl ToString) -> RowError {
        RowError {
            table: self.table,
            row: self.row.to_string(),
            column,
            value: value.to_string(),
        }
    }

    /// A column's number in a narrower or unsigned type.
    pub fn narrow<From, To>(&self, column: &'static str, value: From) -> Result<To, RowError>
    where
        From: Copy + ToString + TryInto<To>,
    {
        value.try_into().map_err(|_| self.refuse(column, &value))
    }

    pub fn narrow_option<From, To>(
        &self,
        column: &'static str,
        value: Option<From>,
    ) -> Result<Option<To>, RowError>
    where
        From: Copy + ToString + TryInto<To>,
    {
        value.map(|value| self.narrow(column, value)).transpose()
    }
}

/// A `macaddr` column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mac(pub [u8; 6]);

/// The type's number in Postgres's catalogue (`pg_type.dat`).
const MACADDR: Oid = Oid(829);

impl sqlx::Type<Postgres> for Mac {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(MACADDR)
    }
}

impl Decode<'_, Postgres> for Mac {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        if value.format() != PgValueFormat::Binary {
            return Err("a macaddr in text format".into());
        }
        Ok(Self(value.as_bytes()?.try_into()?))
    }
}
