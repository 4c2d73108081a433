//! The node as the API sees it: each question answered by the part that knows.

use tokio::sync::mpsc;
use warren_overlay::PeerInfo;
use warren_payments::chain::Endpoint;
use warren_proto::{ByteCount, ChannelId, SessionId};
use warren_tunnel::host::{check_consumer, check_exit};

use super::{Node, wish};
use crate::api::types::{
    BeneficiaryRequest, ChannelCloseRequest, ChannelList, ChannelOpenRequest, ChannelTopUpRequest,
    Check, CheckVerdict, ClaimReport, DownReport, DownRequest, Earnings, ExitCheck,
    ExitEnableRequest, ExitGuests, ExitList, ExitQuery, ExitShown, ExitStatus, ExitTerms,
    ExitTermsQuery, ExitsQuery, KickReport, KickRequest, Ledger, LedgerQuery, NetCheck, NetStats,
    NodeEvent, PayoutRequest, PeerList, PeerView, PriceView, ReceiptList, ReceiptView, RouteList,
    RouterList, ShutdownReport, Status, TowerStatus, TransactionReport, UpEvent, UpRequest,
    UsageView, WalletView, WithdrawRequest,
};
use crate::api::{Answer, NodeControl};
use crate::consumer::cannot_tell_names;
use crate::error::{ErrorCode, Problem};
use crate::metrics::Metric;

impl NodeControl for Node {
    fn status(&self) -> Answer<'_, Status> {
        Box::pin(self.status_view())
    }

    fn exits(&self, query: ExitsQuery) -> Answer<'_, ExitList> {
        Box::pin(async move { self.exit_list(&query).await })
    }

    fn exit_shown(&self, query: ExitQuery) -> Answer<'_, ExitShown> {
        Box::pin(async move { Node::exit_shown(self, &query).await })
    }

    fn up(&self, request: UpRequest) -> Answer<'_, mpsc::Receiver<UpEvent>> {
        Box::pin(async move {
            let mut wanted = wish::wanted(&self.config, &request)?;
            if wanted.named.is_some() {
                wanted.settle(self.exits_in_reach().await?)?;
            }
            self.store.headroom().demand()?;
            self.can_route(&wanted).await?;
            self.can_pay(&wanted).await?;
            self.consumer.up(wanted).await
        })
    }

    fn down(&self, request: DownRequest) -> Answer<'_, DownReport> {
        Box::pin(async move {
            let facts = self.consumer.down(request).await?;
            let view = facts.view(&self.config.token);
            let keeps = match view.as_ref().and_then(|it| it.channel) {
                Some(id) => self.left_in(id).await,
                None => None,
            };
            let nothing = warren_proto::SessionId::from_bytes([0; 16]);
            let none = UsageView {
                up_bytes: ByteCount::default(),
                down_bytes: ByteCount::default(),
            };
            Ok(DownReport {
                session: view.as_ref().map_or(nothing, |it| it.session),
                used: view.as_ref().map_or(none, |it| it.used),
                served_secs: view.as_ref().map_or(0, |it| it.served_secs),
                paid: view.map_or_else(|| self.shown(Default::default()), |it| it.paid),
                channel_keeps: keeps,
                still_blocked: facts.protected,
            })
        })
    }

    fn exit_check(&self) -> Answer<'_, ExitCheck> {
        Box::pin(async move {
            let findings = check_exit(&self.host_rules()).await;
            let mut checks: Vec<_> = findings
                .iter()
                .map(|it| Check::not_fine("machine", CheckVerdict::Fail, Problem::of_finding(it)))
                .collect();
            if checks.is_empty() {
                checks.push(Check::pass(
                    "machine",
                    "TUN, firewall and forwarding are there",
                ));
            }
            let settings = self.check_settings().await;
            if settings.is_empty() {
                let seen = "endpoint, country, and what it is paid with are there";
                checks.push(Check::pass("settings", seen));
            }
            checks.extend(settings);
            let ready = !checks.iter().any(|it| it.verdict == CheckVerdict::Fail);
            Ok(ExitCheck { ready, checks })
        })
    }

    fn exit_terms(&self, query: ExitTermsQuery) -> Answer<'_, ExitTerms> {
        Box::pin(async move {
            let policy = self.policy(query.policy.as_deref())?;
            let asked = (
                query.price_per_gib.as_ref(),
                query.price_per_minute.as_ref(),
            );
            let price = self.price(asked)?;
            Ok(ExitTerms {
                policy: policy.id(),
                policy_text: policy.canonical(),
                price: PriceView::of(price, &self.config.token),
                guests_max: self.config.exit.guests_max,
                phrase: self.phrase(),
            })
        })
    }

    fn exit_enable(&self, request: ExitEnableRequest) -> Answer<'_, ExitStatus> {
        Box::pin(async move {
            self.begin_exit(&request).await?;
            self.exit_view().await
        })
    }

    fn exit_disable(&self) -> Answer<'_, ExitStatus> {
        Box::pin(async move {
            self.give_up_exit().await?;
            self.exit_view().await
        })
    }

    fn exit_status(&self) -> Answer<'_, ExitStatus> {
        Box::pin(self.exit_view())
    }

    fn exit_guests(&self) -> Answer<'_, ExitGuests> {
        Box::pin(self.guests_view())
    }

    fn exit_kick(&self, request: KickRequest) -> Answer<'_, KickReport> {
        Box::pin(async move {
            let (session, node) = self.provider.kick(request.guest).await?;
            Ok(KickReport { session, node })
        })
    }

    fn wallet(&self) -> Answer<'_, WalletView> {
        Box::pin(self.wallet_view())
    }

    fn withdraw(&self, request: WithdrawRequest) -> Answer<'_, TransactionReport> {
        Box::pin(self.withdraw_tokens(request))
    }

    fn fix_beneficiary(&self, request: BeneficiaryRequest) -> Answer<'_, TransactionReport> {
        Box::pin(self.fix_beneficiary(request))
    }

    fn pay_out(&self, request: PayoutRequest) -> Answer<'_, TransactionReport> {
        Box::pin(self.pay_out(request))
    }

    fn claim_all(&self) -> Answer<'_, ClaimReport> {
        Box::pin(self.claim_channels())
    }

    fn channels(&self) -> Answer<'_, ChannelList> {
        Box::pin(self.channel_list())
    }

    fn claim(&self, channel: ChannelId) -> Answer<'_, TransactionReport> {
        Box::pin(self.claim_channel(channel))
    }

    fn open(&self, request: ChannelOpenRequest) -> Answer<'_, TransactionReport> {
        Box::pin(self.open_channel(request))
    }

    fn top_up(
        &self,
        channel: ChannelId,
        request: ChannelTopUpRequest,
    ) -> Answer<'_, TransactionReport> {
        Box::pin(self.top_up_channel(channel, request))
    }

    fn close(
        &self,
        channel: ChannelId,
        request: ChannelCloseRequest,
    ) -> Answer<'_, TransactionReport> {
        Box::pin(self.close_channel(channel, request))
    }

    fn earn(&self) -> Answer<'_, Earnings> {
        Box::pin(self.earnings())
    }

    fn ledger(&self, query: LedgerQuery) -> Answer<'_, Ledger> {
        Box::pin(async move { self.ledger_view(&query).await })
    }

    fn receipts(&self) -> Answer<'_, ReceiptList> {
        Box::pin(self.receipt_list())
    }

    fn receipt(&self, session: SessionId) -> Answer<'_, ReceiptView> {
        Box::pin(self.one_receipt(session))
    }

    fn towers(&self) -> Answer<'_, TowerStatus> {
        Box::pin(self.tower_status())
    }

    fn routes(&self) -> Answer<'_, RouteList> {
        Box::pin(self.route_list())
    }

    fn routers(&self) -> Answer<'_, RouterList> {
        Box::pin(self.router_list())
    }

    fn peers(&self) -> Answer<'_, PeerList> {
        Box::pin(async move {
            let failed = |error| Problem::new(ErrorCode::OverlayFailed, error);
            let peers = self.overlay.peers().await.map_err(failed)?;
            let view = |it: PeerInfo| PeerView {
                node: it.node,
                address: it.address,
                outbound: it.outbound,
                rtt_millis: it.rtt.map(|rtt| rtt.as_secs_f64() * 1000.0),
                agent: it.agent,
            };
            Ok(PeerList {
                peers: peers.into_iter().map(view).collect(),
            })
        })
    }

    fn net_check(&self) -> Answer<'_, NetCheck> {
        Box::pin(async move {
            let listen = self.overlay.listen_addresses().await.unwrap_or_default();
            let peers = self.overlay.peers().await.unwrap_or_default();
            let mut checks = vec![peers_checked(&peers), self.ways_checked().await];
            let found = check_consumer().await;
            let mut problems: Vec<_> = found.iter().map(Problem::of_finding).collect();
            problems.extend(cannot_tell_names(&wish::own_dns(&self.config)).await);
            for problem in problems {
                checks.push(Check::not_fine("machine", CheckVerdict::Warn, problem));
            }
            Ok(NetCheck {
                checks,
                listen,
                external: self.config.overlay.external.clone(),
            })
        })
    }

    fn net_stats(&self) -> Answer<'_, NetStats> {
        Box::pin(self.stats_view())
    }

    fn events(&self) -> Answer<'_, mpsc::Receiver<NodeEvent>> {
        let reader = self.events.follow();
        Box::pin(std::future::ready(Ok(reader)))
    }

    fn shutdown(&self) -> Answer<'_, ShutdownReport> {
        Box::pin(async move {
            let guests = self
                .provider
                .view()
                .await?
                .on
                .map_or(0, |it| it.guests.len());
            let _ = self.ending.send(true);
            Ok(ShutdownReport {
                sessions_closing: u32::try_from(guests).unwrap_or(u32::MAX),
            })
        })
    }

    fn metrics(&self) -> String {
        self.metrics.set(Metric::StoreBatches, self.store.batches());
        self.metrics
            .set(Metric::StoreFailures, self.store.failures());
        let takes = self.store.headroom().takes_liabilities();
        self.metrics.set(Metric::TakesLiabilities, takes.into());
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        self.metrics
            .set(Metric::Receipts, count(self.receipts.count()));
        let routes = self.routes.numbers();
        for (metric, value) in [
            (Metric::RouteStreams, count(routes.streams)),
            (Metric::RoutesLive, count(routes.live)),
            (Metric::RouteOffers, routes.asked),
            (Metric::RouteRefused, routes.refused),
            (Metric::RouteFramesDropped, routes.dropped),
        ] {
            self.metrics.set(metric, value);
        }
        let tower = self.towers.numbers();
        self.metrics.set(Metric::TowerPuts, count(tower.puts));
        self.metrics.set(Metric::TowerClaims, tower.claims);
        self.metrics.set(Metric::TowerRefused, tower.refused);
        self.metrics
            .set(Metric::TowersHolding, count(self.towers.holding()));
        self.metrics.set(
            Metric::DiskFree,
            self.store.headroom().free_bytes().unwrap_or(0),
        );
        if let Some(known) = self.chain.as_ref().and_then(|it| it.endpoints()) {
            let sum = |of: fn(&Endpoint) -> u64| known.each.iter().map(of).sum();
            let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
            let agree = known.up() >= known.must_agree;
            for (metric, value) in [
                (Metric::ChainHead, known.agreed.unwrap_or(0)),
                (Metric::ChainEndpoints, count(known.each.len())),
                (Metric::ChainEndpointsUp, count(known.up())),
                (Metric::ChainQuorum, u64::from(agree)),
                (Metric::ChainErrors, sum(|it| it.errors)),
                (Metric::ChainOverruled, sum(|it| it.overruled)),
            ] {
                self.metrics.set(metric, value);
            }
        }
        self.metrics.render()
    }
}

impl Node {
    async fn left_in(&self, id: ChannelId) -> Option<crate::api::types::Money> {
        let channels = self.channel_list().await.ok()?.channels;
        channels
            .into_iter()
            .find(|it| it.id == id)
            .map(|it| it.left)
    }
}

/// Whether others are reached; that nobody dialled this node yet says nothing against it.
fn peers_checked(peers: &[PeerInfo]) -> Check {
    if peers.is_empty() {
        let problem = Problem::new(ErrorCode::NoPeers, "no peer is connected");
        return Check::not_fine("peers", CheckVerdict::Fail, problem);
    }
    let (all, dialled) = (peers.len(), peers.iter().filter(|it| it.outbound).count());
    let reached = match all.saturating_sub(dialled) {
        0 => "none of them dialled this node: nothing shows that it can be reached".to_owned(),
        many => format!("{many} of them dialled this node"),
    };
    Check::pass("peers", format!("{all} connected; {reached}"))
}

#[cfg(test)]
mod tests {
    use warren_proto::NodeId;

    use super::*;

    #[test]
    fn a_check_of_the_net_says_how_many_reached_this_node() {
        let peer = |n: u8, outbound| PeerInfo {
            node: NodeId::from_bytes([n; 32]),
            connections: 1,
            address: String::new(),
            outbound,
            agent: None,
            rtt: None,
            score: None,
        };
        let seen = |peers: &[PeerInfo]| peers_checked(peers).seen;
        let both = seen(&[peer(1, true), peer(2, false)]);
        assert_eq!(both, "2 connected; 1 of them dialled this node");
        assert!(seen(&[peer(1, true)]).contains("none of them dialled"));
        assert_eq!(peers_checked(&[]).verdict, CheckVerdict::Fail);
    }
}
