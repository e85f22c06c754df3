//! Keeping verdicts: what was judged again replaces what was known, ids stay.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};

use parallax_core::judge::Judged;
use parallax_core::report::ResetReport;
use sqlx::postgres::PgConnection;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::injections;
use super::shards::{HAS_RESET, Reach};
use super::{Kin, PortionOfFlow, Store, StoreError};

/// Whether more evidence is expected soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    Open,
    /// The flow leaves the docket, unless evidence came since it was gathered.
    Settle,
}

/// The judgement of one flow.
#[derive(Debug)]
pub struct Verdicts {
    /// [`parallax_core::Flow::hash`] as the database carries it.
    pub flow: i64,
    pub judged: Vec<Judged>,
    pub portion: PortionOfFlow,
    pub settling: Settling,
    /// `docket.evidence` when the evidence was gathered.
    pub docket: Option<i64>,
    pub kin: Kin,
    /// The vantages that have to do with the flow, by id; `None`: all there are.
    pub vantages: Option<BTreeSet<i32>>,
}

/// What became of written verdicts.
#[derive(Debug, Default)]
pub struct Written {
    /// Reports that are new or say something else than before, in order of time.
    pub changed: Vec<ResetReport>,
    /// Flows to judge, since others turned out to be their kin.
    pub docketed: Vec<i64>,
    /// Verdicts that settled, and had not settled before as they are.
    pub settled: Vec<Settled>,
}

/// So many resets with verdicts that say the same.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Settled {
    /// As [`parallax_core::report::Origin`] says it.
    pub origin: String,
    pub cause: String,
    /// As in [`ResetReport::between`], though without a difference between no place and two open ends.
    pub between_a: Option<String>,
    pub between_b: Option<String>,
    /// As [`ResetReport::at`].
    pub emitted_at: Option<String>,
    pub resets: i64,
    /// The first of them.
    pub example: Uuid,
    /// Those that are not much older than now.
    pub recent: i64,
}

/// What is stored of a verdict.
#[derive(sqlx::FromRow)]
struct KnownRow {
    flow: i64,
    identity: i64,
    report_hash: Option<i64>,
    vantages: Option<Vec<i32>>,
}

type Key = (i64, i64);

/// A verdict as it is to be stored.
struct Told<'a> {
    report: &'a ResetReport,
    text: String,
    hash: i64,
    vantages: Option<Vec<i32>>,
}

impl Told<'_> {
    /// The text of an array: no statement takes an array of arrays that differ in length.
    fn vantages(&self) -> Option<String> {
        let ids = self.vantages.as_ref()?.iter().map(i32::to_string);
        Some(format!("{{{}}}", ids.collect::<Vec<_>>().join(",")))
    }
}

impl Store {
    /// Writes judgements in one transaction. A known reset that the judgement of a whole flow does not
    /// contain any more is deleted.
    ///
    /// What flows have to do with each other is noted before, in a transaction of its own: it enters flows in the docket
    /// that loads hold, while the verdicts hold others that loads wait for.
    pub async fn write_verdicts(&self, verdicts: &[Verdicts]) -> Result<Written, StoreError> {
        let docketed = self.relate(verdicts).await?;
        let mut tx = self
            .pool
            .begin()
            .await
            .map_err(StoreError::database("begin to write verdicts"))?;
        let flows: BTreeSet<i64> = verdicts.iter().map(|verdict| verdict.flow).collect();
        let flows: Vec<i64> = flows.into_iter().collect();
        let known = known(&mut tx, &flows).await?;
        let judged = by_key(verdicts)?;
        let (mut changed, mut moved) = (Vec::new(), Vec::new());
        for (key, told) in &judged {
            match known.get(key) {
                Some(known) if known.report_hash == Some(told.hash) => {
                    if known.vantages != told.vantages {
                        moved.push((*key, told));
                    }
                }
                _ => changed.push((*key, told)),
            }
        }
        upsert(&mut tx, &changed).await?;
        change_vantages(&mut tx, &moved).await?;
        delete(&mut tx, &vanished(verdicts, &known, &judged)).await?;
        lock(&mut tx, &flows).await?;
        let settled = settle(&mut tx, verdicts).await?;
        note_numbers(&mut tx, verdicts).await?;
        // Last, so that whoever holds a place waits for nothing else.
        injections::note(&mut tx, &settled).await?;
        tx.commit()
            .await
            .map_err(StoreError::database("commit verdicts"))?;
        let mut changed: Vec<ResetReport> = changed
            .into_iter()
            .map(|(_, told)| told.report.clone())
            .collect();
        changed.sort_by_key(|report| report.time);
        Ok(Written {
            changed,
            docketed,
            settled,
        })
    }
}

impl Store {
    /// Notes what flows have to do with each other; returns those that have to be judged for it.
    async fn relate(&self, verdicts: &[Verdicts]) -> Result<Vec<i64>, StoreError> {
        if verdicts.iter().all(|verdict| verdict.kin.flows.is_empty()) {
            return Ok(Vec::new());
        }
        let begun = self.pool.begin().await;
        let mut tx = begun.map_err(StoreError::database("begin to note related flows"))?;
        let docketed = note_kin(&mut tx, verdicts, self.reach).await?;
        let ended = tx.commit().await;
        ended.map_err(StoreError::database("commit related flows"))?;
        Ok(docketed)
    }
}

/// Takes the flows' rows of the docket, in the order in which loads take them.
async fn lock(tx: &mut PgConnection, flows: &[i64]) -> Result<(), StoreError> {
    sqlx::query("SELECT FROM docket WHERE flow = ANY ($1) ORDER BY flow FOR UPDATE")
        .bind(flows)
        .execute(tx)
        .await
        .map_err(StoreError::database("take flows of the docket"))?;
    Ok(())
}

/// Judged resets by key; the first of equal identity counts.
fn by_key(verdicts: &[Verdicts]) -> Result<BTreeMap<Key, Told<'_>>, StoreError> {
    let mut judged = BTreeMap::new();
    for verdict in verdicts {
        for reset in &verdict.judged {
            let key = (verdict.flow, reset.identity.cast_signed());
            if let Entry::Vacant(place) = judged.entry(key) {
                place.insert(told(verdict, &reset.report)?);
            }
        }
    }
    Ok(judged)
}

fn told<'a>(verdict: &Verdicts, report: &'a ResetReport) -> Result<Told<'a>, StoreError> {
    let text = serde_json::to_string(report).map_err(|source| StoreError::Json {
        what: "write a verdict",
        source,
    })?;
    let vantages = verdict.vantages.as_ref();
    Ok(Told {
        report,
        hash: xxh3_64(text.as_bytes()).cast_signed(),
        text,
        vantages: vantages.map(|ids| ids.iter().copied().collect()),
    })
}

fn vanished(
    verdicts: &[Verdicts],
    known: &BTreeMap<Key, KnownRow>,
    judged: &BTreeMap<Key, Told<'_>>,
) -> Vec<Key> {
    let whole: BTreeSet<i64> = verdicts
        .iter()
        .filter(|verdict| verdict.portion == PortionOfFlow::Whole)
        .map(|verdict| verdict.flow)
        .collect();
    known
        .keys()
        .filter(|key| whole.contains(&key.0) && !judged.contains_key(key))
        .copied()
        .collect()
}

async fn known(
    tx: &mut PgConnection,
    flows: &[i64],
) -> Result<BTreeMap<Key, KnownRow>, StoreError> {
    let rows: Vec<KnownRow> = sqlx::query_as(include_str!("../sql/known_resets.sql"))
        .bind(flows)
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("read known verdicts"))?;
    Ok(rows
        .into_iter()
        .map(|row| ((row.flow, row.identity), row))
        .collect())
}

async fn upsert(tx: &mut PgConnection, changed: &[(Key, &Told<'_>)]) -> Result<(), StoreError> {
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../sql/upsert_resets.sql"))
        .bind(column(changed, |(key, _)| key.0))
        .bind(column(changed, |(key, _)| key.1))
        .bind(column(changed, |(_, told)| told.report.time.nanos()))
        .bind(column(changed, |(_, told)| told.text.as_str()))
        .bind(column(changed, |(_, told)| told.hash))
        .bind(column(changed, |(_, told)| told.vantages()))
        .execute(tx)
        .await
        .map_err(StoreError::database("write verdicts"))?;
    Ok(())
}

async fn change_vantages(
    tx: &mut PgConnection,
    moved: &[(Key, &Told<'_>)],
) -> Result<(), StoreError> {
    if moved.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../sql/change_vantages.sql"))
        .bind(column(moved, |(key, _)| key.0))
        .bind(column(moved, |(key, _)| key.1))
        .bind(column(moved, |(_, told)| told.vantages()))
        .execute(tx)
        .await
        .map_err(StoreError::database("note the vantages of verdicts"))?;
    Ok(())
}

async fn delete(tx: &mut PgConnection, keys: &[Key]) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../sql/delete_resets.sql"))
        .bind(column(keys, |key| key.0))
        .bind(column(keys, |key| key.1))
        .execute(tx)
        .await
        .map_err(StoreError::database("delete verdicts"))?;
    Ok(())
}

async fn settle(tx: &mut PgConnection, verdicts: &[Verdicts]) -> Result<Vec<Settled>, StoreError> {
    let (settled, open): (Vec<&Verdicts>, Vec<&Verdicts>) = verdicts
        .iter()
        .partition(|verdict| verdict.settling == Settling::Settle);
    // Whoever judged them is done.
    let all: Vec<i64> = verdicts.iter().map(|verdict| verdict.flow).collect();
    sqlx::query("UPDATE docket SET judge = NULL, until = NULL WHERE flow = ANY ($1)")
        .bind(all)
        .execute(&mut *tx)
        .await
        .map_err(StoreError::database("free judged flows"))?;
    sqlx::query_as(include_str!("../sql/settle.sql"))
        .bind(column(&settled, |verdict| verdict.flow))
        .bind(column(&settled, |verdict| verdict.docket))
        .bind(column(&open, |verdict| verdict.flow))
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("settle verdicts"))
}

/// Remembers with which numbers judged flows began.
async fn note_numbers(tx: &mut PgConnection, verdicts: &[Verdicts]) -> Result<(), StoreError> {
    let begun: Vec<(i64, i64)> = verdicts
        .iter()
        .flat_map(|verdict| {
            verdict
                .kin
                .numbers
                .iter()
                .map(|number| (*number, verdict.flow))
        })
        .collect();
    if begun.is_empty() {
        return Ok(());
    }
    sqlx::query(include_str!("../sql/note_numbers.sql"))
        .bind(column(&begun, |(number, _)| *number))
        .bind(column(&begun, |(_, flow)| *flow))
        .execute(tx)
        .await
        .map_err(StoreError::database("note initial numbers"))?;
    Ok(())
}

/// Remembers which flows' evidence matters to judged ones; returns those that have to be judged for it.
async fn note_kin(
    tx: &mut PgConnection,
    verdicts: &[Verdicts],
    reach: Reach,
) -> Result<Vec<i64>, StoreError> {
    let related: Vec<(i64, i64)> = verdicts
        .iter()
        .flat_map(|verdict| verdict.kin.flows.iter().map(|kin| (verdict.flow, *kin)))
        .collect();
    if related.is_empty() {
        return Ok(Vec::new());
    }
    if reach == Reach::Shard {
        return note_relations(tx, &related).await;
    }
    let rows: Vec<(i64,)> = sqlx::query_as(include_str!("../sql/note_kin.sql"))
        .bind(column(&related, |(flow, _)| *flow))
        .bind(column(&related, |(_, kin)| *kin))
        .fetch_all(tx)
        .await
        .map_err(StoreError::database("note related flows"))?;
    Ok(rows.into_iter().map(|(flow,)| flow).collect())
}

/// What `sql/note_kin.sql` does at once, where digests are distributed.
async fn note_relations(
    tx: &mut PgConnection,
    related: &[(i64, i64)],
) -> Result<Vec<i64>, StoreError> {
    let failed = || StoreError::database("note related flows");
    let fresh: Vec<(i64,)> = sqlx::query_as(include_str!("../sql/note_relations.sql"))
        .bind(column(related, |(flow, _)| *flow))
        .bind(column(related, |(_, kin)| *kin))
        .fetch_all(&mut *tx)
        .await
        .map_err(failed())?;
    let mut with = Vec::new();
    for (kin,) in fresh {
        let (has,): (bool,) = sqlx::query_as(HAS_RESET)
            .bind(kin)
            .fetch_one(&mut *tx)
            .await
            .map_err(failed())?;
        with.extend(has.then_some(kin));
    }
    let docketed: Vec<(i64,)> = sqlx::query_as(include_str!("../sql/enter_flows.sql"))
        .bind(with)
        .fetch_all(tx)
        .await
        .map_err(failed())?;
    Ok(docketed.into_iter().map(|(flow,)| flow).collect())
}

fn column<'a, Row, T>(rows: &'a [Row], value: impl Fn(&'a Row) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}
