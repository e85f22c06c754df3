//! The vantages that have to do with a flow. Of a fleet most have not, and what they watched says nothing about it.
//!
//! A vantage has to do with a flow if it holds a segment of it or of its kin, is one of its hosts, stands on the
//! configured path, or has seen another connection between the same two hosts: only of such a one an absence counts.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use parallax_core::Flow;
use sqlx::postgres::PgConnection;

use super::VantageRow;
use super::sightings::Sightings;
use crate::store::StoreError;
use crate::store::days::Span;

/// Up to so many vantages each is asked about every flow: which of them matter is not worth a question.
pub const EVERYWHERE_MAX: usize = 32;

/// What an ask has to do with.
#[derive(Debug, Default)]
struct Scope {
    vantages: BTreeSet<i32>,
    hosts: BTreeSet<(IpAddr, IpAddr)>,
}

/// The vantages that have to do with each ask.
#[derive(Debug)]
pub(super) enum Relevant {
    Everywhere,
    Some(Scopes),
}

#[derive(Debug)]
pub(super) struct Scopes {
    by_ask: Vec<Scope>,
    hosts: HashMap<IpAddr, Vec<i32>>,
}

/// Where flows are held, and between which hosts they run.
#[derive(sqlx::FromRow)]
struct HeldRow {
    asked: i64,
    vantage_id: i32,
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
}

impl Relevant {
    /// Those of the asked flows, without their kin.
    pub fn new(
        asks: usize,
        sightings: &Sightings,
        vantages: &[VantageRow],
        path: &[String],
        everywhere_max: usize,
    ) -> Self {
        if vantages.len() <= everywhere_max {
            return Self::Everywhere;
        }
        let mut hosts: HashMap<IpAddr, Vec<i32>> = HashMap::new();
        for vantage in vantages {
            for address in &vantage.addresses {
                hosts.entry(*address).or_default().push(vantage.id);
            }
        }
        let on_path: BTreeSet<i32> = vantages
            .iter()
            .filter(|vantage| path.contains(&vantage.name))
            .map(|vantage| vantage.id)
            .collect();
        let mut scopes = Scopes {
            by_ask: Vec::with_capacity(asks),
            hosts,
        };
        for ask in 0..asks {
            let mut scope = Scope {
                vantages: on_path.clone(),
                hosts: BTreeSet::new(),
            };
            scope.vantages.extend(sightings.vantages(ask));
            scope.hosts.extend(sightings.flows(ask).map(hosts_of));
            scopes.by_ask.push(scope);
        }
        Self::Some(scopes)
    }

    /// Adds those that have to do with flows, each by ask; whether there are any new ones.
    pub async fn add(
        &mut self,
        tx: &mut PgConnection,
        flows: &[(usize, i64)],
        days: Span,
    ) -> Result<bool, StoreError> {
        match self {
            Self::Some(scopes) if !flows.is_empty() => scopes.add(tx, flows, days).await,
            Self::Everywhere | Self::Some(_) => Ok(false),
        }
    }

    /// The vantages of an ask, in their order.
    pub fn of<'a>(
        &'a self,
        ask: usize,
        vantages: &'a [VantageRow],
    ) -> impl Iterator<Item = &'a VantageRow> {
        vantages.iter().filter(move |vantage| match self {
            Self::Everywhere => true,
            Self::Some(scopes) => scopes.by_ask[ask].vantages.contains(&vantage.id),
        })
    }

    /// The ids of the vantages of an ask; `None`: all.
    pub fn ids(&self, ask: usize) -> Option<BTreeSet<i32>> {
        match self {
            Self::Everywhere => None,
            Self::Some(scopes) => Some(scopes.by_ask[ask].vantages.clone()),
        }
    }
}

impl Scopes {
    async fn add(
        &mut self,
        tx: &mut PgConnection,
        flows: &[(usize, i64)],
        days: Span,
    ) -> Result<bool, StoreError> {
        let before = self.count();
        let hashes: Vec<i64> = flows.iter().map(|(_, flow)| *flow).collect();
        let held: Vec<HeldRow> = sqlx::query_as(include_str!("../../sql/holders.sql"))
            .bind(hashes)
            .bind(days.first)
            .bind(days.last)
            .fetch_all(&mut *tx)
            .await
            .map_err(StoreError::database("find vantages that hold a flow"))?;
        for row in &held {
            let Some((ask, _)) = flows.get(row.asked as usize - 1) else {
                continue;
            };
            let scope = &mut self.by_ask[*ask];
            scope.vantages.insert(row.vantage_id);
            scope.hosts.extend(row.src.zip(row.dst).map(in_order));
        }
        self.add_hosts();
        self.add_acquainted(tx, days).await?;
        Ok(self.count() > before)
    }

    fn count(&self) -> usize {
        self.by_ask.iter().map(|scope| scope.vantages.len()).sum()
    }

    fn add_hosts(&mut self) {
        for scope in &mut self.by_ask {
            let ends = scope.hosts.iter().flat_map(|(one, two)| [one, two]);
            let vantages = ends.filter_map(|end| self.hosts.get(end)).flatten();
            scope.vantages.extend(vantages.copied().collect::<Vec<_>>());
        }
    }

    /// Those that have seen other connections between the same hosts.
    async fn add_acquainted(
        &mut self,
        tx: &mut PgConnection,
        days: Span,
    ) -> Result<(), StoreError> {
        let pairs: HashSet<(IpAddr, IpAddr)> = self
            .by_ask
            .iter()
            .flat_map(|scope| scope.hosts.iter().copied())
            .collect();
        let pairs: Vec<(IpAddr, IpAddr)> = pairs.into_iter().collect();
        let found: Vec<(i64, i32)> = sqlx::query_as(include_str!("../../sql/acquainted.sql"))
            .bind(pairs.iter().map(|pair| pair.0).collect::<Vec<_>>())
            .bind(pairs.iter().map(|pair| pair.1).collect::<Vec<_>>())
            .bind(days.first)
            .bind(days.last)
            .fetch_all(tx)
            .await
            .map_err(StoreError::database("find vantages that know two hosts"))?;
        let mut by_pair: BTreeMap<(IpAddr, IpAddr), Vec<i32>> = BTreeMap::new();
        for (asked, vantage) in found {
            if let Some(pair) = pairs.get(asked as usize - 1) {
                by_pair.entry(*pair).or_default().push(vantage);
            }
        }
        for scope in &mut self.by_ask {
            let known = scope.hosts.iter().filter_map(|pair| by_pair.get(pair));
            scope.vantages.extend(known.flatten());
        }
        Ok(())
    }
}

fn hosts_of(flow: Flow) -> (IpAddr, IpAddr) {
    in_order((flow.low().addr, flow.high().addr))
}

fn in_order((one, two): (IpAddr, IpAddr)) -> (IpAddr, IpAddr) {
    (one.min(two), one.max(two))
}
