//! What kernel witnesses say, on an agent's stream.

use parallax_core::Coverage;
use parallax_proto::testimony::Told;
use parallax_proto::v1::TestimonyStored;
use parallax_proto::v1::collector_message::Message as Answer;
use tonic::Status;

use super::Shared;
use super::conversation::{Answers, Gone, database_away, send};
use crate::clock;
use crate::store::Registered;

/// Stores a message, answers it, and has what it speaks of judged.
pub(super) async fn take(
    shared: &Shared,
    run: Registered,
    message: parallax_proto::v1::Testimony,
    answers: &Answers,
) -> Result<Result<(), Gone>, Status> {
    let number = message.number;
    let told = Told::try_from(message)
        .map_err(|error| Status::invalid_argument(format!("testimony {number}: {error}")))?;
    let stored = shared.store.testify(run, &told).await;
    let touched = stored.map_err(|error| database_away(&error))?;
    if !touched.is_empty() {
        shared.court.touched(touched, Vec::new());
    }
    let spans = told.watches.iter().map(|watch| Coverage {
        from: watch.from,
        until: watch.until,
        received: 0,
        dropped: watch.lost,
    });
    let court = &shared.court;
    court.watched_live(run.vantage_id, spans, clock::wall());
    Ok(send(answers, Answer::TestimonyStored(TestimonyStored { number })).await)
}
