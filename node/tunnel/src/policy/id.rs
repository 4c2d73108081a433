//! What of a policy goes into the signed offer.
//!
//! Sans-IO.

use sha2::{Digest, Sha256};
use warren_proto::PolicyId;

use super::ExitPolicy;

impl ExitPolicy {
    /// Returns the name and hash to sign into an offer; a changed list changes the hash.
    ///
    /// The hash is SHA-256 of [`ExitPolicy::canonical`].
    pub fn id(&self) -> PolicyId {
        let hash = Sha256::digest(self.canonical().as_bytes()).into();
        PolicyId {
            name: self.name.clone(),
            hash,
        }
    }
}
