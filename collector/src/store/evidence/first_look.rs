//! All that is stored of flows of which little is stored, which is so of nearly all: resets, openings and segments of every
//! vantage, and whether others bear the same numbers, in one question.

use std::collections::HashMap;
use std::net::IpAddr;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row as _};

use super::{VantageRow, questions};
use crate::store::StoreError;
use crate::store::days::Span;
use crate::store::digest_row::{self, DigestRow, Stored};
use crate::store::packed::PackedRow;
use crate::store::shards::Reach;

/// Of a flow with as many rows of digests, or packed ones, not all may have been read.
const DIGESTS_MAX: usize = 256;
const PACKED_MAX: usize = 64;

/// The segments of a row, where they were seen, and among which day's they are stored.
pub(super) struct Seen {
    pub vantage_id: i32,
    pub day: i32,
    pub segments: Vec<Stored>,
}

/// What is known of one asked flow.
pub(super) struct Looked {
    /// All that is stored of it.
    pub rows: Vec<Seen>,
    /// Whether another flow bears one of its numbers.
    pub shares_numbers: bool,
}

pub(super) struct FirstLook {
    /// What is known of the asked flows, by ask; `None`: not everything.
    all: Vec<Option<Looked>>,
    /// All there are, in their order.
    pub vantages: Vec<VantageRow>,
}

/// A row that says something of an ask, by number from 1, or all vantages.
enum Row {
    Of(i64, Found),
    Vantages(Vec<VantageRow>),
}

enum Found {
    Digest(Held, Box<DigestRow>),
    Packed(Held, PackedRow),
    SharedNumber,
}

/// Of a row of either table.
struct Held {
    vantage_id: i32,
    day: i32,
}

impl FromRow<'_, PgRow> for Row {
    /// By place, as [`DigestRow`].
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        const DAY: usize = 1 + digest_row::COLUMNS.len();
        const VANTAGES: usize = DAY + 3;
        let asked = row.try_get(0)?;
        let held = || -> Result<Held, sqlx::Error> {
            Ok(Held {
                vantage_id: row.try_get(1)?,
                day: row.try_get(DAY)?,
            })
        };
        let found = match row.try_get(VANTAGES + 4)? {
            0_i16 => Found::Digest(held()?, Box::new(DigestRow::from_row(row)?)),
            1 => {
                let packed = PackedRow {
                    asked,
                    run_id: row.try_get(2)?,
                    first_number: row.try_get(3)?,
                    segments: row.try_get(DAY + 1)?,
                    octets: row.try_get(DAY + 2)?,
                };
                Found::Packed(held()?, packed)
            }
            2 => Found::SharedNumber,
            _ => return Ok(Self::Vantages(vantages(row, VANTAGES)?)),
        };
        Ok(Self::Of(asked, found))
    }
}

/// Vantages as four arrays from a column on; none are there: no arrays.
fn vantages(row: &PgRow, at: usize) -> Result<Vec<VantageRow>, sqlx::Error> {
    let Some(ids) = row.try_get::<Option<Vec<i32>>, _>(at)? else {
        return Ok(Vec::new());
    };
    let [names, kinds, addresses]: [Vec<String>; 3] = [
        row.try_get(at + 1)?,
        row.try_get(at + 2)?,
        row.try_get(at + 3)?,
    ];
    let all = ids.into_iter().zip(names).zip(kinds).zip(addresses);
    all.map(|(((id, name), kind), addresses)| {
        let addresses: Result<Vec<IpAddr>, _> =
            addresses.split_whitespace().map(str::parse).collect();
        Ok(VantageRow {
            id,
            name,
            kind,
            addresses: addresses.map_err(|error| sqlx::Error::Decode(error.into()))?,
        })
    })
    .collect()
}

impl FirstLook {
    /// Of flows nothing is known where each question goes to one shard: both tables cannot be asked at once there.
    pub async fn load(
        tx: &mut PgConnection,
        flows: &[i64],
        reach: Reach,
    ) -> Result<Self, StoreError> {
        if reach == Reach::Shard {
            return Ok(Self {
                all: flows.iter().map(|_| None).collect(),
                vantages: questions::vantages(tx).await?,
            });
        }
        let rows: Vec<Row> = sqlx::query_as(include_str!("../../sql/first_look.sql"))
            .bind(flows)
            .bind(DIGESTS_MAX as i64)
            .bind(PACKED_MAX as i64)
            .fetch_all(tx)
            .await
            .map_err(StoreError::database("look at flows"))?;
        let (mut by_ask, mut vantages) = (HashMap::<i64, Vec<Found>>::new(), Vec::new());
        for row in rows {
            match row {
                Row::Of(asked, found) => by_ask.entry(asked).or_default().push(found),
                Row::Vantages(all) => vantages = all,
            }
        }
        let asked = (1..).take(flows.len());
        Ok(Self {
            all: asked
                .map(|asked| looked(by_ask.remove(&asked).unwrap_or_default()))
                .collect(),
            vantages,
        })
    }

    /// What is known of an ask's flow, if that is everything.
    pub fn of(&self, ask: usize) -> Option<&Looked> {
        self.all.get(ask)?.as_ref()
    }

    /// What one vantage holds of some days of an ask's flow, if it is known.
    pub fn at(&self, ask: usize, vantage_id: i32, days: Span) -> Option<Vec<Stored>> {
        let here = |seen: &&Seen| {
            seen.vantage_id == vantage_id
                && (seen.day == 0 || (days.first..=days.last).contains(&seen.day))
        };
        let here = self.of(ask)?.rows.iter().filter(here);
        Some(
            here.map(|seen| seen.segments.as_slice())
                .collect::<Vec<_>>()
                .concat(),
        )
    }
}

/// What all rows of a flow say; `None`: there may be more of them, or one cannot be read, which is told where it is asked
/// for by itself.
fn looked(rows: Vec<Found>) -> Option<Looked> {
    let (mut digests, mut packed) = (0, 0);
    let mut looked = Looked {
        rows: Vec::new(),
        shares_numbers: false,
    };
    for row in rows {
        match row {
            Found::Digest(held, row) => {
                digests += 1;
                let stored = Stored::try_from(&*row).ok()?;
                looked.rows.push(held.seen(vec![stored]));
            }
            Found::Packed(held, row) => {
                packed += 1;
                let segments = Vec::<Stored>::try_from(&row).ok()?;
                looked.rows.push(held.seen(segments));
            }
            Found::SharedNumber => looked.shares_numbers = true,
        }
    }
    (digests < DIGESTS_MAX && packed < PACKED_MAX).then_some(looked)
}

impl Held {
    fn seen(&self, segments: Vec<Stored>) -> Seen {
        Seen {
            vantage_id: self.vantage_id,
            day: self.day,
            segments,
        }
    }
}
