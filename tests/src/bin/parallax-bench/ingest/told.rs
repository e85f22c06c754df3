//! What was measured, told.

use anyhow::Result;
use parallax_collector::store::Store;

use super::{Measured, Options, Rates, millis};
use crate::measured::middle;
use crate::report::{Bound, Report, grouped, short};

impl Measured {
    pub(super) fn report(&self, options: &Options, page: Option<u64>) -> Report {
        let mut report = Report::new("ingest");
        self.tell_rates(options, page, &mut report);
        self.tell_joins(options, &mut report);
        self.octets.tell(&mut report);
        report
    }

    fn tell_rates(&self, options: &Options, page: Option<u64>, report: &mut Report) {
        let of = |rate: fn(&Rates) -> f64| middle(self.rounds.iter().map(rate));
        let over_plain = of(|round| round.loader / round.plain);
        let over_indexed = of(|round| round.loader / round.indexed);
        report.say(&format!(
            "Storing {} digests at {} vantages in durable Postgres{}, {} a transaction, {} at once, \
             medians of {} rounds; the ratio is ours over theirs.",
            grouped(options.round as i64),
            options.vantages,
            page.map_or_else(String::new, |page| format!(" (shared memory in pages of {page} KiB)")),
            grouped(options.batch as i64),
            options.loaders,
            options.runs
        ));
        let row = |way: &str, rate: f64, ratio: String| vec![way.to_owned(), short(rate), ratio];
        let mut rows = vec![
            row(
                "parallax, with everything that the join needs",
                of(|round| round.loader),
                String::new(),
            ),
            row(
                "plain COPY, no index",
                of(|round| round.plain),
                short(over_plain),
            ),
            row(
                "plain COPY, B-tree on (flow, seq)",
                of(|round| round.indexed),
                short(over_indexed),
            ),
        ];
        rows.extend(self.tenths.iter().map(|(stored, rate)| {
            let way = format!("parallax, up to {} digests", grouped(*stored as i64));
            row(&way, *rate, String::new())
        }));
        report.table(&["way", "digests/s", "ratio"], &rows);
        report.goal(
            "digests a second, over COPY into a B-tree",
            over_indexed,
            Bound::AtLeast(3.0),
        );
        report.goal(
            "digests a second, over COPY without index",
            over_plain,
            Bound::AtLeast(0.7),
        );
        if let (Some((_, first)), Some((_, last))) = (self.tenths.first(), self.tenths.last()) {
            report.goal(
                "digests a second, last tenth over first",
                last / first,
                Bound::AtLeast(0.85),
            );
        }
    }

    fn tell_joins(&self, options: &Options, report: &mut Report) {
        report.say(
            "Of a flow with a reset, milliseconds: the join (its resets at all vantages, its kin by numbers and payload, the \
             segments of both, coverage), and all evidence of a verdict (that, neighbouring flows, losses, memories, \
             witnesses).",
        );
        let rows = [&self.early, &self.late].map(|joins| joins.rows(options.together));
        report.table(&["what", "median", "p99"], &rows.concat());
        let [early, late] =
            [&self.early, &self.late].map(|joins| millis(&joins.joined.alone, 0.99));
        report.goal("p99 of a join, milliseconds", late, Bound::Below(1.0));
        report.goal(
            "p99 of a join, late over early",
            late / early,
            Bound::AtMost(1.5),
        );
    }
}

/// What the tables take with their indexes.
pub(super) struct Octets {
    /// Of tables packed, payload and digest.
    tables: [f64; 3],
    rows: f64,
    segments: f64,
    stored: f64,
}

impl Octets {
    pub(super) async fn measure(store: &Store, stored: u64) -> Result<Self> {
        let size = "SELECT sum(pg_total_relation_size(relid))::bigint FROM pg_partition_tree($1::regclass) WHERE isleaf";
        let mut tables = [0.0; 3];
        for (octets, table) in tables.iter_mut().zip(["packed", "payload", "digest"]) {
            let (size,): (i64,) = sqlx::query_as(size)
                .bind(table)
                .fetch_one(store.pool())
                .await?;
            *octets = size as f64;
        }
        let (rows, segments): (i64, i64) =
            sqlx::query_as("SELECT count(*), sum(segments)::bigint FROM packed")
                .fetch_one(store.pool())
                .await?;
        Ok(Self {
            tables,
            rows: rows as f64,
            segments: segments as f64,
            stored: stored as f64,
        })
    }

    fn tell(&self, report: &mut Report) {
        let [packed, payload, digest] = self.tables;
        let per_segment = (packed + payload) / self.segments;
        report.say(&format!(
            "Octets in Postgres, indexes included: {} a segment ({} packed, {} for its payload's hash; {} segments a row), \
             {} a digest, SYN and RST counted.",
            short(per_segment),
            short(packed / self.segments),
            short(payload / self.segments),
            short(self.segments / self.rows),
            short((packed + payload + digest) / self.stored)
        ));
        report.goal("octets a segment", per_segment, Bound::AtMost(30.0));
    }
}
