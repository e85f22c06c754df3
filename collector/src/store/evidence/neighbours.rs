//! What else went in neighbouring flows around moments. Rows that several moments have near are loaded once: those of
//! table `digest` at once, of packed ones first how far they reach, then the octets of those that matter to anybody.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use parallax_core::evidence::{NEIGHBOURS_MAX, NEIGHBOURS_WITHIN};
use sqlx::postgres::PgConnection;

use super::questions::{column, whole_number};
use super::shelf::{End, Shelf, Stretch, append, spans, stretches};
use crate::store::StoreError;
use crate::store::days::Span;
use crate::store::digest_row::{DigestRow, Segments, Stored};
use crate::store::packed::{HOUR, PackedRow};
use crate::store::rows::RowError;
use crate::store::shards::{NEIGHBOURS, PACKED_NEIGHBOURS, PACKED_OCTETS, Reach};

/// A flow, by hash, at a vantage.
type Key = (i64, i32);

/// A packed row: its run and first number.
type Place = (i32, i64);

/// A neighbouring flow to look for at a post.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neighbour {
    /// Index into the posts.
    pub post: usize,
    pub flow: i64,
    pub vantage_id: i32,
    pub moment: i64,
}

impl Neighbour {
    fn key(&self) -> Key {
        (self.flow, self.vantage_id)
    }
}

/// How far a packed row reaches.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct Extent {
    /// Which question it answers, from 1.
    asked: i64,
    run_id: i32,
    first_number: i64,
    first_ns: i64,
    last_ns: i64,
    segments: i16,
}

impl Extent {
    fn place(&self) -> Place {
        (self.run_id, self.first_number)
    }

    /// How far from a moment its farthest segment lies.
    fn farthest(&self, moment: i64) -> i64 {
        (moment.saturating_sub(self.first_ns)).max(self.last_ns.saturating_sub(moment))
    }

    /// Its nearest segment lies no nearer.
    fn nearest(&self, moment: i64) -> i64 {
        (self.first_ns.saturating_sub(moment)).max(moment.saturating_sub(self.last_ns))
    }
}

/// For each post (neighbours come post by post) what is nearest to its moment, of all its neighbours together.
pub(super) async fn load(
    tx: &mut PgConnection,
    wanted: &[Neighbour],
    reach: Reach,
) -> Result<HashMap<usize, Segments>, StoreError> {
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let times = || wanted.iter().map(|one| one.moment);
    let early = |before: i64| times().map(move |moment| moment.saturating_sub(before));
    let late = || times().map(|moment| moment.saturating_add(NEIGHBOURS_WITHIN));
    let digest_days = Span::of(early(NEIGHBOURS_WITHIN).chain(late()));
    let digests = digests(tx, wanted, (digest_days, reach)).await?;
    let packed_days = Span::of(early(NEIGHBOURS_WITHIN + HOUR).chain(late()));
    let extents = extents(tx, wanted, (packed_days, reach)).await?;
    let mut chosen: BTreeMap<Place, (Key, Extent)> = BTreeMap::new();
    let mut by_post: Vec<(&[Neighbour], Vec<Place>)> = Vec::new();
    for of_post in wanted.chunk_by(|one, other| one.post == other.post) {
        let mattering = mattering(of_post, &extents);
        by_post.push((
            of_post,
            mattering.iter().map(|(_, one)| one.place()).collect(),
        ));
        chosen.extend(
            mattering
                .into_iter()
                .map(|(key, one)| (one.place(), (key, one))),
        );
    }
    let rows = unpacked(tx, &chosen, (packed_days, reach)).await?;
    let read = by_post.into_iter().map(|(of_post, places)| {
        let packed = places.iter().filter_map(|place| rows.get(place));
        (of_post[0].post, nearest(of_post, &digests, packed))
    });
    Ok(read.collect())
}

/// The packed rows that can hold one of the segments nearest to a post's moment, counting whole rows.
fn mattering(of_post: &[Neighbour], extents: &BTreeMap<Key, Vec<Extent>>) -> Vec<(Key, Extent)> {
    let moment = of_post[0].moment;
    let is_near = |one: &&Extent| {
        one.first_ns <= moment.saturating_add(NEIGHBOURS_WITHIN)
            && one.last_ns >= moment.saturating_sub(NEIGHBOURS_WITHIN)
    };
    let of_flow = |neighbour: &Neighbour| {
        let key = neighbour.key();
        let all = extents.get(&key).into_iter().flatten();
        all.filter(is_near).map(move |one| (key, *one))
    };
    let mut near: Vec<(Key, Extent)> = of_post.iter().flat_map(of_flow).collect();
    near.sort_by_key(|(_, one)| (one.farthest(moment), one.place()));
    let mut held = 0;
    let enough = near.iter().find(|(_, one)| {
        held += usize::try_from(one.segments).unwrap_or(0);
        held >= NEIGHBOURS_MAX
    });
    if let Some(enough) = enough.map(|(_, one)| one.farthest(moment)) {
        // A row whose nearest segment is not nearer than that cannot matter.
        near.retain(|(_, one)| one.nearest(moment) <= enough);
    }
    near
}

/// The segments nearest to a post's moment.
fn nearest<'a>(
    of_post: &[Neighbour],
    digests: &'a Shelf<Key>,
    packed: impl Iterator<Item = &'a Segments>,
) -> Segments {
    let moment = of_post[0].moment;
    let mut all: Vec<&Stored> = Vec::new();
    for neighbour in of_post {
        let near = digests.near(neighbour.key(), moment, NEIGHBOURS_WITHIN, NEIGHBOURS_MAX);
        for kept in near {
            all.push(kept.read.as_ref().map_err(RowError::clone)?);
        }
    }
    for row in packed {
        all.extend(row.as_ref().map_err(RowError::clone)?);
    }
    let place = |stored: &&Stored| {
        let time = stored.digest.time.nanos();
        (time.abs_diff(moment), time, stored.run_id, stored.number)
    };
    if all.len() > NEIGHBOURS_MAX {
        all.select_nth_unstable_by_key(NEIGHBOURS_MAX, place);
        all.truncate(NEIGHBOURS_MAX);
    }
    Ok(all.into_iter().cloned().collect())
}

async fn digests(
    tx: &mut PgConnection,
    wanted: &[Neighbour],
    within: (Span, Reach),
) -> Result<Shelf<Key>, StoreError> {
    let around = [NEIGHBOURS_WITHIN; 2];
    let mut asked = spans(moments(wanted), around);
    let mut rows = digest_rows(tx, &asked, within).await?;
    let crowded = crowded(&asked, rows.iter().map(|row| row.asked));
    if !crowded.is_empty() {
        let of_crowded = moments(wanted).filter(|(key, _)| crowded.contains(key));
        let more = stretches(of_crowded, around);
        let found = digest_rows(tx, &more, within).await?;
        append((&mut asked, &mut rows), (more, found));
    }
    Ok(Shelf::new(&asked, &rows))
}

/// How far rows reach that begin up to an hour before a moment is near, or while it is.
async fn extents(
    tx: &mut PgConnection,
    wanted: &[Neighbour],
    within: (Span, Reach),
) -> Result<BTreeMap<Key, Vec<Extent>>, StoreError> {
    let around = [NEIGHBOURS_WITHIN + HOUR, NEIGHBOURS_WITHIN];
    let asked = spans(moments(wanted), around);
    let mut found = extent_rows(tx, &asked, within).await?;
    let crowded = crowded(&asked, found.iter().map(|(row, _)| row.asked));
    if !crowded.is_empty() {
        let of_crowded = moments(wanted).filter(|(key, _)| crowded.contains(key));
        let more = stretches(of_crowded, around);
        found.append(&mut extent_rows(tx, &more, within).await?);
    }
    let mut all: BTreeMap<Key, Vec<Extent>> = BTreeMap::new();
    for (row, key) in found {
        all.entry(key).or_default().push(row);
    }
    for extents in all.values_mut() {
        extents.sort_unstable_by_key(Extent::place);
        extents.dedup_by_key(|one| one.place());
    }
    Ok(all)
}

fn moments(wanted: &[Neighbour]) -> impl Iterator<Item = (Key, i64)> {
    wanted.iter().map(|one| (one.key(), one.moment))
}

/// Flows of which more is there than was asked for.
fn crowded(asked: &[Stretch<Key>], answers: impl Iterator<Item = i64>) -> BTreeSet<Key> {
    let mut counts = vec![0; asked.len()];
    for answer in answers {
        if let Some(count) = counts.get_mut(answer as usize - 1) {
            *count += 1;
        }
    }
    let counted = asked.iter().zip(counts);
    let full = counted.filter(|(_, count)| *count >= NEIGHBOURS_MAX);
    full.map(|(stretch, _)| stretch.key).collect()
}

async fn digest_rows(
    tx: &mut PgConnection,
    wanted: &[Stretch<Key>],
    (days, reach): (Span, Reach),
) -> Result<Vec<DigestRow>, StoreError> {
    let mut rows: Vec<DigestRow> = Vec::new();
    for part in reach.parts(wanted, |stretch| stretch.key.0) {
        let asked = Asked::of(&part, wanted);
        let mut found: Vec<DigestRow> = sqlx::query_as(NEIGHBOURS.text(reach))
            .bind(asked.flows)
            .bind(asked.vantages)
            .bind(asked.after)
            .bind(asked.until)
            .bind(asked.backwards)
            .bind(NEIGHBOURS_MAX as i64)
            .bind(days.first)
            .bind(days.last)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("gather neighbouring flows"))?;
        for row in &mut found {
            row.asked = whole_number(&part, row.asked);
        }
        rows.append(&mut found);
    }
    Ok(rows)
}

async fn extent_rows(
    tx: &mut PgConnection,
    wanted: &[Stretch<Key>],
    (days, reach): (Span, Reach),
) -> Result<Vec<(Extent, Key)>, StoreError> {
    let mut rows = Vec::new();
    for part in reach.parts(wanted, |stretch| stretch.key.0) {
        let asked = Asked::of(&part, wanted);
        let found: Vec<Extent> = sqlx::query_as(PACKED_NEIGHBOURS.text(reach))
            .bind(asked.flows)
            .bind(asked.vantages)
            .bind(asked.after)
            .bind(asked.until)
            .bind(asked.backwards)
            .bind(NEIGHBOURS_WITHIN)
            .bind(NEIGHBOURS_MAX as i64)
            .bind(days.first)
            .bind(days.last)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database(
                "look for neighbouring packed segments",
            ))?;
        for mut row in found {
            row.asked = whole_number(&part, row.asked);
            if let Some(stretch) = wanted.get(row.asked as usize - 1) {
                rows.push((row, stretch.key));
            }
        }
    }
    Ok(rows)
}

/// The segments of rows, by run and first number.
async fn unpacked(
    tx: &mut PgConnection,
    chosen: &BTreeMap<Place, (Key, Extent)>,
    (days, reach): (Span, Reach),
) -> Result<HashMap<Place, Segments>, StoreError> {
    let wanted: Vec<(Key, Extent)> = chosen.values().copied().collect();
    let mut read = HashMap::with_capacity(wanted.len());
    if wanted.is_empty() {
        return Ok(read);
    }
    for part in reach.parts(&wanted, |((flow, _), _)| *flow) {
        let asked = column(&part, |index| wanted[*index]);
        let found: Vec<PackedRow> = sqlx::query_as(PACKED_OCTETS.text(reach))
            .bind(column(&asked, |((flow, _), _)| *flow))
            .bind(column(&asked, |((_, vantage), _)| *vantage))
            .bind(column(&asked, |(_, one)| one.first_ns))
            .bind(column(&asked, |(_, one)| one.run_id))
            .bind(column(&asked, |(_, one)| one.first_number))
            .bind(days.first)
            .bind(days.last)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("gather neighbouring packed segments"))?;
        let rows = found
            .iter()
            .map(|row| ((row.run_id, row.first_number), row.try_into()));
        read.extend(rows);
    }
    Ok(read)
}

/// Stretches in columns, as arrays to bind.
struct Asked {
    flows: Vec<i64>,
    vantages: Vec<i32>,
    after: Vec<i64>,
    until: Vec<i64>,
    backwards: Vec<bool>,
}

impl Asked {
    fn of(part: &[usize], wanted: &[Stretch<Key>]) -> Self {
        let asked = column(part, |index| wanted[*index]);
        Self {
            flows: column(&asked, |stretch| stretch.key.0),
            vantages: column(&asked, |stretch| stretch.key.1),
            after: column(&asked, |stretch| stretch.after),
            until: column(&asked, |stretch| stretch.until),
            backwards: column(&asked, |stretch| stretch.from == End::Late),
        }
    }
}

#[cfg(test)]
mod tests {
    use parallax_core::time::SECOND;

    use super::*;

    fn extent(first_number: i64, first_ns: i64, last_ns: i64, segments: i16) -> Extent {
        Extent {
            asked: 1,
            run_id: 1,
            first_number,
            first_ns,
            last_ns,
            segments,
        }
    }

    /// Times of the segments nearest to a moment, of rows of them.
    fn nearest_times<'a>(rows: impl Iterator<Item = &'a Vec<i64>>, moment: i64) -> Vec<i64> {
        let times = rows.flatten().copied();
        let mut near: Vec<i64> = times
            .map(|time| (time - moment).abs())
            .filter(|away| *away <= NEIGHBOURS_WITHIN)
            .collect();
        near.sort_unstable();
        near.truncate(NEIGHBOURS_MAX);
        near
    }

    proptest::proptest! {
        #[test]
        fn the_segments_nearest_to_a_moment_are_in_rows_that_matter(
            rows in proptest::collection::vec(
                proptest::collection::vec(-20 * SECOND..20 * SECOND, 1..96), 0..12,
            ),
        ) {
            let moment = 100 * SECOND;
            let one = Neighbour { post: 0, flow: 7, vantage_id: 3, moment };
            let rows: Vec<Vec<i64>> = rows
                .into_iter()
                .map(|times| times.into_iter().map(|time| moment + time).collect())
                .collect();
            let reaching = |(index, times): (usize, &Vec<i64>)| {
                let (first, last) = (times.iter().min(), times.iter().max());
                extent(index as i64, *first.unwrap(), *last.unwrap(), times.len() as i16)
            };
            let extents: Vec<Extent> = rows.iter().enumerate().map(reaching).collect();
            let found = mattering(&[one], &BTreeMap::from([(one.key(), extents)]));
            let mattering = found.iter().map(|(_, one)| &rows[one.first_number as usize]);
            proptest::prop_assert_eq!(
                nearest_times(mattering, moment), nearest_times(rows.iter(), moment)
            );
        }
    }

    #[test]
    fn of_packed_rows_those_matter_that_can_hold_one_of_the_nearest_segments() {
        let moment = 100 * SECOND;
        let at = |seconds: i64| moment + seconds * SECOND;
        let one = Neighbour {
            post: 0,
            flow: 7,
            vantage_id: 3,
            moment,
        };
        let all = |extents: Vec<Extent>| {
            let by_key = BTreeMap::from([(one.key(), extents)]);
            let found = mattering(&[one], &by_key);
            let mut found: Vec<i64> = found.iter().map(|(_, one)| one.first_number).collect();
            found.sort_unstable();
            found
        };
        let near = extent(1, at(-1), at(1), 96);
        let far = extent(2, at(5), at(6), 96);
        let reaching = extent(3, at(-3000), at(-2), 96);
        let away = [extent(4, at(11), at(12), 9), extent(5, at(-30), at(-11), 9)];
        let few = [vec![near, far, reaching], away.to_vec()].concat();
        assert_eq!(all(few), [1, 2, 3]);
        // With enough of them within three seconds what begins later is of no use.
        let more = [extent(6, at(-3), at(0), 96), extent(7, at(-1), at(3), 96)];
        let many = [vec![near, far, reaching], more.to_vec()].concat();
        assert_eq!(all(many), [1, 3, 6, 7]);
    }
}
