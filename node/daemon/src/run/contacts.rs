//! Nodes to join at should no bootstrap node answer: kept while all is well, tried while nobody is there.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use warren_overlay::Overlay;

use super::Node;
use crate::home::replace;

// Our choice.
const FILE: &str = "contacts";
/// Between two looks. The first comes when bootstrap nodes had this time to answer.
const EVERY: Duration = Duration::from_secs(30);
/// More bytes than so many addresses need are not ours.
const MOST_BYTES: u64 = 64 << 10;

impl Node {
    pub(super) async fn keep_contacts(self: Arc<Self>) {
        let home = self.config.node.home.clone();
        let (mut ending, mut kept) = (self.ending.subscribe(), read(&home));
        // Who has no bootstrap node waits for none.
        if self.config.overlay.bootstrap.is_empty() {
            join(&self.overlay, &kept).await;
        }
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.tick().await;
        loop {
            tokio::select! {
                _ = ending.wait_for(|it| *it) => return,
                _ = looks.tick() => {}
            }
            if self.overlay.peers().await.is_ok_and(|it| it.is_empty()) {
                join(&self.overlay, &kept).await;
                continue;
            }
            let now = self.overlay.contacts().await.unwrap_or_default();
            if now.is_empty() || now == kept {
                continue;
            }
            match write(&home, &now) {
                Ok(()) => kept = now,
                Err(error) => tracing::warn!(%error, "nodes to join at are not kept"),
            }
        }
    }
}

/// What cannot be dialled is passed over: the file may be old.
async fn join(overlay: &Overlay, contacts: &[String]) {
    for contact in contacts {
        let _ = overlay.dial(contact.clone()).await;
    }
}

/// None if there is no such file, or it is not ours.
fn read(home: &Path) -> Vec<String> {
    let path = home.join(FILE);
    if !fs::metadata(&path).is_ok_and(|it| it.len() <= MOST_BYTES) {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn write(home: &Path, contacts: &[String]) -> std::io::Result<()> {
    replace(home, FILE, &contacts.join("\n"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::stand::{PATIENCE, node};

    #[tokio::test]
    async fn a_node_without_any_bootstrap_node_joins_at_what_it_kept() {
        let home = tempfile::tempdir().unwrap();
        assert!(read(home.path()).is_empty());
        let (_far, _far_events, at) = node(1, &[]).await;
        let kept = vec!["no address".to_owned(), at];
        write(home.path(), &kept).unwrap();
        assert_eq!(read(home.path()), kept);
        let (near, _near_events, _) = node(2, &[]).await;
        join(&near, &read(home.path())).await;
        let joined = async {
            while near.peers().await.unwrap().is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, joined).await.unwrap();
    }
}
