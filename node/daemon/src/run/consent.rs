//! What an owner agreed to: typed, kept with the policy's hash, and never stretched to a wider policy.

use std::fs;

use serde::{Deserialize, Serialize};
use warren_proto::{PolicyId, UnixTime};
use warren_tunnel::policy::{ExitPolicy, Preset};

use super::Node;
use crate::api::types::{ConsentRecord, ExitEnableRequest, Timestamp};
use crate::error::{ErrorCode, Problem};
use crate::home::replace;

const FILE: &str = "consent.json";
/// Narrowest first: each carries all that those before it carry.
const BY_WIDTH: [Preset; 3] = [Preset::WebAndDns, Preset::AllButMail, Preset::All];

/// The consent as kept on disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    policy: PolicyId,
    given_millis: u64,
}

impl Node {
    pub(super) fn consent(&self) -> Option<ConsentRecord> {
        let text = fs::read_to_string(self.config.node.home.join(FILE)).ok()?;
        let kept: Kept = serde_json::from_str(&text).ok()?;
        let given = Timestamp(UnixTime::from_millis(kept.given_millis));
        Some(ConsentRecord {
            policy: kept.policy,
            given,
        })
    }

    /// Whether the owner agrees to `policy`; what is to be kept once the exit is on. `None`: what is kept covers it.
    ///
    /// # Errors
    /// [`ErrorCode::ConsentNeeded`] or [`ErrorCode::ConsentOutdated`].
    pub(super) fn check_consent(
        &self,
        request: &ExitEnableRequest,
        policy: &PolicyId,
    ) -> Result<Option<Kept>, Problem> {
        if request.phrase.is_none() && request.policy_hash.is_none() {
            return match self.consent() {
                Some(consent) if covers(&consent.policy, policy) => Ok(None),
                Some(consent) => {
                    let (agreed, asked) = (&consent.policy.name, &policy.name);
                    let seen = format!("what was agreed to, {agreed}, does not cover {asked}");
                    Err(Problem::new(ErrorCode::ConsentOutdated, seen))
                }
                None => Err(Problem::new(
                    ErrorCode::ConsentNeeded,
                    "no consent is on file",
                )),
            };
        }
        if request.policy_hash != Some(hex::encode(policy.hash)) {
            return Err(Problem::new(
                ErrorCode::ConsentOutdated,
                "the policy shown was another",
            ));
        }
        let phrase = self.phrase();
        if request.phrase.as_ref() != Some(&phrase) {
            let seen = format!("type the name of this machine, {phrase}, to agree");
            return Err(Problem::new(ErrorCode::ConsentNeeded, seen));
        }
        Ok(Some(Kept {
            policy: policy.clone(),
            given_millis: self.clock.now().as_millis(),
        }))
    }

    pub(super) fn keep_consent(&self, consented: &Kept) -> Result<(), Problem> {
        let text = serde_json::to_string_pretty(consented)
            .map_err(|error| Problem::new(ErrorCode::Internal, error))?;
        replace(&self.config.node.home, FILE, &text)
            .map_err(|error| Problem::new(ErrorCode::HomeUnusable, error))
    }
}

/// Whether who agreed to one policy agreed to all that `asked` carries: it is the same, or a narrower one of the
/// presets as they are now.
fn covers(agreed: &PolicyId, asked: &PolicyId) -> bool {
    let rank = |id: &PolicyId, of: fn(Preset) -> ExitPolicy| {
        let same = |it: &Preset| of(*it).id().hash == id.hash;
        BY_WIDTH.iter().position(same)
    };
    let is_narrower = |of: fn(Preset) -> ExitPolicy| {
        rank(asked, of).is_some_and(|asked| rank(agreed, of) > Some(asked))
    };
    let labs: fn(Preset) -> ExitPolicy = |it| ExitPolicy::preset(it).allow_documentation();
    agreed.hash == asked.hash || is_narrower(ExitPolicy::preset) || is_narrower(labs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consent_covers_what_is_narrower_and_nothing_else() {
        let id = |it| ExitPolicy::preset(it).id();
        for (wide, agreed) in BY_WIDTH.iter().enumerate() {
            for (narrow, asked) in BY_WIDTH.iter().enumerate() {
                let covered = covers(&id(*agreed), &id(*asked));
                assert_eq!(covered, narrow <= wide, "{agreed:?} for {asked:?}");
            }
        }
        let labs = ExitPolicy::default().allow_documentation().id();
        assert!(!covers(&id(Preset::All), &labs), "other networks");
        let old = PolicyId {
            hash: [7; 32],
            ..id(Preset::All)
        };
        assert!(!covers(&old, &id(Preset::WebAndDns)), "as it was once");
    }
}
