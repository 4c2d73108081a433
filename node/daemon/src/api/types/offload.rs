//! How a tunnel passes packets, as the API says it.

use serde::{Deserialize, Serialize};
use warren_tunnel::{DeviceRung, ReceiveRung, Rungs, SendRung};

/// How a tunnel passes packets: the rung of each ladder that is in use, the fastest that works here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffloadView {
    /// Between kernel and tunnel: `tcp-udp` or `tcp` super-packets, or `plain`.
    pub device: String,
    /// From the tunnel to the line: `segments`, or `many` datagrams in one call.
    pub send: String,
    /// From the line to the tunnel: `merged`, or `many` datagrams in one call.
    pub receive: String,
}

impl OffloadView {
    /// Names the rungs.
    #[must_use]
    pub fn of(rungs: Rungs) -> Self {
        let device = match rungs.device {
            DeviceRung::TcpUdp => "tcp-udp",
            DeviceRung::Tcp => "tcp",
            DeviceRung::Plain => "plain",
        };
        let send = match rungs.send {
            SendRung::Segments => "segments",
            SendRung::Many => "many",
        };
        let receive = match rungs.receive {
            ReceiveRung::Merged => "merged",
            ReceiveRung::Many => "many",
        };
        Self {
            device: device.to_owned(),
            send: send.to_owned(),
            receive: receive.to_owned(),
        }
    }
}
