//! Questions to agents' memories, as the collectors share them.

use std::time::Duration;

use parallax_proto::v1::Recall;
use prost::Message as _;

use super::rows::RowName;
use super::{Store, StoreError};

/// A question to all agents; its times are by the database's clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// With the id.
    pub recall: Recall,
    /// Vantages that are to say so if they hold nothing; `None`: all. Rising.
    pub vantages: Option<Vec<i32>>,
}

/// A question to enter.
#[derive(Debug, Clone, PartialEq)]
pub struct Asking {
    /// The flow with a reset that it is asked for.
    pub flow: i64,
    pub recall: Recall,
    /// As in [`Question`].
    pub vantages: Option<Vec<i32>>,
}

#[derive(sqlx::FromRow)]
struct QuestionRow {
    id: i64,
    question: Vec<u8>,
    vantages: Option<Vec<i32>>,
}

impl TryFrom<QuestionRow> for Question {
    type Error = StoreError;

    fn try_from(row: QuestionRow) -> Result<Self, StoreError> {
        let name = RowName {
            table: "recall_question",
            row: format!("id {}", row.id),
        };
        let read = Recall::decode(row.question.as_slice());
        let mut recall = read.map_err(|error| name.refuse("question", &error))?;
        recall.id = row.id.cast_unsigned();
        Ok(Self {
            recall,
            vantages: row.vantages,
        })
    }
}

/// As Postgres reads an array.
fn array(ids: &[i32]) -> String {
    let ids: Vec<String> = ids.iter().map(i32::to_string).collect();
    format!("{{{}}}", ids.join(","))
}

impl Store {
    /// Enters questions and tells all collectors. Agents that connect within
    /// `patience` are asked too.
    pub async fn ask_agents(
        &self,
        asked: &[Asking],
        patience: Duration,
    ) -> Result<Vec<Question>, StoreError> {
        let flows: Vec<i64> = asked.iter().map(|asking| asking.flow).collect();
        let questions: Vec<Vec<u8>> = asked
            .iter()
            .map(|asking| asking.recall.encode_to_vec())
            .collect();
        // An array of arrays of several lengths is none: they go as text.
        let vantages: Vec<Option<String>> = asked
            .iter()
            .map(|asking| asking.vantages.as_deref().map(array))
            .collect();
        let rows: Vec<QuestionRow> = sqlx::query_as(include_str!("../sql/ask_agents.sql"))
            .bind(flows)
            .bind(questions)
            .bind(vantages)
            .bind(patience.as_secs_f64())
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("enter questions to agents"))?;
        rows.into_iter().map(Question::try_from).collect()
    }

    /// Questions that agents are still asked: this one, or all.
    pub async fn open_questions(&self, id: Option<i64>) -> Result<Vec<Question>, StoreError> {
        let rows: Vec<QuestionRow> = sqlx::query_as(include_str!("../sql/open_questions.sql"))
            .bind(id)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::database("read questions to agents"))?;
        rows.into_iter().map(Question::try_from).collect()
    }
}
