//! Rows per second of the loader beside plain COPY of the same rows. Not a test: run it with
//! `cargo test --release -p parallax-collector -- --ignored --nocapture rows_per_second`.

use tokio::time::Instant;

use parallax_collector::store::{Ask, COPY_DIGESTS, Portion, Store, encode_digests};

use crate::digests::{ACK, refused, segment, tuple};
use crate::load::{hop, portion};
use crate::server::store;

const ROWS: usize = 400_000;
const BATCH: usize = 32_768;

/// How long evidence of 64 flows takes among all these rows.
async fn gathering(store: &Store) {
    sqlx::query("ANALYZE digest")
        .execute(store.pool())
        .await
        .unwrap();
    let run = store.register(&hop("other", 2)).await.unwrap();
    let resets: Vec<_> = (1000..1064)
        .flat_map(|port| refused(port, i64::from(port) * 8))
        .collect();
    store.load(&[&portion(run, 0, resets)]).await.unwrap();
    let asks: Vec<Ask> = (1000..1064_u16)
        .map(|port| Ask {
            flow: tuple(port).flow().hash().cast_signed(),
            moment: None,
        })
        .collect();
    for asks in [&asks[..1], &asks[..], &asks[..1], &asks[..]] {
        let started = Instant::now();
        let gathered = store.gather(asks, &[]).await.unwrap();
        println!(
            "{} flows gathered in {:?}",
            gathered.len(),
            started.elapsed()
        );
    }
}

#[tokio::test]
#[ignore = "a measurement"]
async fn rows_per_second() {
    let store = store().await;
    let run = store.register(&hop("bench", 1)).await.unwrap();
    let digests: Vec<_> = (0..ROWS)
        .map(|index| {
            segment(
                tuple((index / 8) as u16),
                index as i64,
                ACK,
                index as u32,
                0,
            )
        })
        .collect();
    let portions: Vec<Portion> = digests
        .chunks(BATCH)
        .enumerate()
        .map(|(index, chunk)| portion(run, (index * BATCH) as u64, chunk.to_vec()))
        .collect();
    let started = Instant::now();
    for portion in &portions {
        store.load(&[portion]).await.unwrap();
    }
    let ours = started.elapsed().as_secs_f64();
    gathering(&store).await;
    let plain = |indexed: bool| {
        let (store, digests) = (store.clone(), &digests);
        async move {
            let mut connection = store.pool().acquire().await.unwrap();
            let drop = if indexed {
                "TRUNCATE digest"
            } else {
                "DROP TABLE digest; CREATE TABLE digest (LIKE bare)"
            };
            let statements = if indexed {
                vec![drop]
            } else {
                drop.split("; ").collect()
            };
            for statement in statements {
                sqlx::query(sqlx::AssertSqlSafe(statement))
                    .execute(&mut *connection)
                    .await
                    .unwrap();
            }
            let started = Instant::now();
            for (index, chunk) in digests.chunks(BATCH).enumerate() {
                let octets = encode_digests(1, 1, (index * BATCH) as u64, chunk);
                let mut copy = connection.copy_in_raw(COPY_DIGESTS).await.unwrap();
                for message in octets.chunks(65536) {
                    copy.send(message).await.unwrap();
                }
                copy.finish().await.unwrap();
            }
            started.elapsed().as_secs_f64()
        }
    };
    sqlx::query("CREATE TABLE bare (LIKE digest)")
        .execute(store.pool())
        .await
        .unwrap();
    let indexed = plain(true).await;
    let bare = plain(false).await;
    let rate = |seconds: f64| (ROWS as f64 / seconds).round();
    println!(
        "loader {} rows/s, COPY with the same indexes {} rows/s, COPY without index {} rows/s",
        rate(ours),
        rate(indexed),
        rate(bare)
    );
}
