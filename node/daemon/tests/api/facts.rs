//! An exit as the desk shows it.

use warren_daemon::api::types::{ConsentRecord, ExitStatus};

use crate::desk::{money, policy, price, region, time};

pub(crate) fn exit_status() -> ExitStatus {
    ExitStatus {
        enabled: true,
        since: Some(time()),
        policy: policy(),
        consent: Some(ConsentRecord {
            policy: policy(),
            given: time(),
        }),
        price: price(),
        at_risk: money(16),
        region: Some(region()),
        endpoints: vec!["198.51.100.7:41820".to_owned()],
        offer: None,
        offer_valid_until: None,
        guests_max: 8,
        guests: Vec::new(),
        earned: money(3),
        claimable: money(2),
    }
}
