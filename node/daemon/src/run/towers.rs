//! What the node shows of towers: its own work, and who works for it.

use warren_payments::tower::{Appointment, Key};
use warren_proto::UnixTime;

use super::Node;
use crate::api::types::{HoldingView, PutView, Timestamp, TowerStatus, TowerWork};
use crate::error::Problem;

impl Node {
    pub(super) async fn tower_status(&self) -> Result<TowerStatus, Problem> {
        let view = self.towers.work().await?;
        let work = view.as_ref().map(|it| TowerWork {
            claims: it.claims,
            saved: self.money(it.saved),
            refused: it.refused,
            block: it.block,
        });
        let kept = view.iter().flat_map(|it| &it.puts).map(kept);
        let held = self.towers.held();
        let held = held.iter().map(|((channel, tower), it)| HoldingView {
            channel: *channel,
            tower: *tower,
            value: self.money(it.value),
            until: at(it.until),
        });
        Ok(TowerStatus {
            work,
            kept: kept.collect(),
            wanted: u32::try_from(self.towers.wanted()).unwrap_or(u32::MAX),
            held: held.collect(),
        })
    }
}

fn kept((key, it): &(Key, Appointment)) -> PutView {
    PutView {
        owner: key.owner,
        locator: key.locator.to_string(),
        number: it.number,
        until: at(it.until),
        bytes: u32::try_from(it.sealed.len()).unwrap_or(u32::MAX),
        channel: it.due.map(|due| due.channel),
        claim_at: it.due.map(|due| at(due.claim_at)),
        spent: it.spent,
    }
}

const fn at(secs: u64) -> Timestamp {
    Timestamp(UnixTime::from_secs(secs))
}
