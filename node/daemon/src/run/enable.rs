//! Becoming an exit: from configuration and consent to an offer, a tunnel and a deny table.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU64;

use warren_proto::{
    Amount, Capacity, ChainRef, MAX_MIB_AHEAD, MAX_OFFER_LIFE, Offer, PayoutAddress, Price,
};
use warren_tunnel::host::{EXIT_DEVICE, ExitNatSpec, MARK, own_name_servers};
use warren_tunnel::policy::{ExitPolicy, Preset};
use warren_tunnel::{DEFAULT_HANDSHAKE_LIMIT, DEFAULT_MTU, ExitSpec, Offload, Shape, TunnelKey};

use super::{Node, resolvers};
use crate::api::types::{Check, CheckVerdict, ExitEnableRequest};
use crate::config::ExitConfig;
use crate::error::{ErrorCode, Problem};
use crate::provider::{Enable, Known};
use crate::session::{ExitTerms, min_deposit_units};

const BYTES_PER_KBIT: u64 = 125;

impl Node {
    /// The policy by name, or as configured.
    pub(super) fn policy(&self, name: Option<&str>) -> Result<ExitPolicy, Problem> {
        let name = name.unwrap_or(&self.config.exit.policy);
        let preset: Preset = name
            .parse()
            .map_err(|error| Problem::new(ErrorCode::ConfigBadValue, error))?;
        let policy = ExitPolicy::preset(preset);
        let labs = self.config.exit.allow_documentation;
        Ok(if labs {
            policy.allow_documentation()
        } else {
            policy
        })
    }

    /// What must be typed to agree.
    pub(super) fn phrase(&self) -> String {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = name.trim();
        if name.is_empty() {
            "this machine".to_owned()
        } else {
            name.to_owned()
        }
    }

    pub(super) async fn become_exit(&self, request: &ExitEnableRequest) -> Result<(), Problem> {
        let policy = self.policy(request.policy.as_deref())?;
        let id = policy.id();
        self.store.headroom().demand()?;
        let consented = self.check_consent(request, &id)?;
        let price = self.price(asked(request))?;
        if let Some(lack) = self.lacks(&price, &policy).into_iter().next() {
            return Err(lack);
        }
        let known = self.known_now().await?;
        if known.addresses.is_empty() {
            return Err(unreachable());
        }
        let what = self.exit_to_be(request, policy, known)?;
        self.provider.enable(what).await?;
        let Some(consented) = consented else {
            return Ok(());
        };
        // Of what was refused nothing is kept: what was agreed to before may be what is wanted still.
        let kept = self.keep_consent(&consented);
        if kept.is_err() {
            let _ = self.provider.disable().await;
        }
        kept
    }

    /// What the configuration does not say and an exit at this price needs.
    fn lacks(&self, price: &Price, policy: &ExitPolicy) -> Vec<Problem> {
        let (exit, mut lacks) = (&self.config.exit, Vec::new());
        let missing = |key: &str| {
            Problem::new(ErrorCode::ConfigMissing, format!("{key} is not set"))
                .with_next(format_args!("warren config explain {key}"))
        };
        if exit.endpoints.is_empty() {
            lacks.push(missing("exit.endpoint"));
        }
        if exit.region.is_none() {
            lacks.push(missing("exit.country"));
        }
        lacks.extend(resolvers::for_guests(&exit.dns, &own_name_servers(), policy).err());
        if *price != Price::default() {
            if self.config.chain.is_none() {
                lacks.push(missing("chain.rpc_url"));
            } else if self.purse.is_none() {
                let seen = "a paid exit needs a wallet";
                lacks.push(Problem::new(ErrorCode::WalletMissing, seen));
            }
        }
        lacks
    }

    /// The same as lines of `exit check`, for the price that is configured.
    pub(super) async fn check_settings(&self) -> Vec<Check> {
        let mut lacks = match self.policy(None) {
            Ok(policy) => self.lacks(&self.config.exit.price, &policy),
            Err(problem) => vec![problem],
        };
        if !self.config.exit.endpoints.is_empty() {
            match self.known_now().await {
                Ok(known) if known.addresses.is_empty() => lacks.push(unreachable()),
                Ok(_) => {}
                Err(problem) => lacks.push(problem),
            }
        }
        let fail = |it| Check::not_fine("settings", CheckVerdict::Fail, it);
        lacks.into_iter().map(fail).collect()
    }

    fn exit_to_be(
        &self,
        request: &ExitEnableRequest,
        policy: ExitPolicy,
        known: Known,
    ) -> Result<Enable, Problem> {
        let exit = &self.config.exit;
        let missing =
            |key: &str| Problem::new(ErrorCode::ConfigMissing, format!("{key} is not set"));
        let region = exit.region.clone().ok_or_else(|| missing("exit.country"))?;
        let price = self.price(asked(request))?;
        let (unit_price, prepay_units) = ahead(exit, price)?;
        let (chain, payee) = self.payee(&price)?;
        let (gateway_v4, inner4) =
            inner_v4(&exit.inner_v4).ok_or_else(|| missing("exit.inner_v4"))?;
        let (gateway_v6, inner6) =
            inner_v6(&exit.inner_v6).ok_or_else(|| missing("exit.inner_v6"))?;
        let key = TunnelKey::generate();
        // What is dated ahead, strangers take for forged.
        let now = self.clock.wall();
        let offer = Offer {
            node: self.key.id(),
            // Milliseconds grow across restarts without anything to remember.
            seq: self.clock.now().as_millis(),
            issued: now,
            valid_until: now.plus(MAX_OFFER_LIFE),
            network: self.config.node.network.clone(),
            region,
            addresses: known.addresses,
            price,
            chain,
            payee,
            unit_price,
            prepay_units,
            credit_units: exit.credit.first,
            close_window_secs: u32::try_from(exit.close_window.as_secs()).unwrap_or(u32::MAX),
            policy: policy.id(),
            capacity: Capacity {
                guests_max: exit.guests_max,
                guests_free: exit.guests_max,
            },
            // What the host carries is known once it forwards; the provider loop then says it.
            ipv4: true,
            ipv6: false,
            rootless: false,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let terms = ExitTerms {
            gateway_v4,
            gateway_v6,
            dns: resolvers::for_guests(&exit.dns, &own_name_servers(), &policy)?,
            mtu: DEFAULT_MTU,
            endpoints: known.endpoints,
            min_deposit_units: min_deposit_units(prepay_units),
            max_credit_units: exit.credit.most,
        };
        let tunnel = ExitSpec {
            device: EXIT_DEVICE.to_owned(),
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, exit.listen_port)),
            private_key: key.clone(),
            mtu: DEFAULT_MTU,
            gateway_v4: ipnet::Ipv4Net::new_assert(gateway_v4, inner4.prefix_len()),
            gateway_v6: ipnet::Ipv6Net::new_assert(gateway_v6, inner6.prefix_len()),
            mark: Some(MARK),
            handshake_limit: DEFAULT_HANDSHAKE_LIMIT,
            offload: Offload::Auto,
        };
        let bytes = |kbit: Option<NonZeroU64>| {
            let rate = kbit?.get().saturating_mul(BYTES_PER_KBIT);
            NonZeroU64::new(rate)
        };
        let shape = Shape {
            guest: bytes(exit.guest_rate_kbit),
            line: bytes(exit.line_rate_kbit),
        };
        let nat = ExitNatSpec {
            policy,
            also_deny: known.deny,
            ..self.host_rules()
        };
        Ok(Enable {
            offer,
            terms,
            tunnel,
            shape,
            tunnel_key: key.public(),
            nat,
            guests: exit.guests.clone(),
        })
    }

    /// What the configuration says of an exit's host, whatever it serves.
    pub(super) fn host_rules(&self) -> ExitNatSpec {
        let (exit, usual) = (&self.config.exit, ExitNatSpec::default());
        let v4 = inner_v4(&exit.inner_v4);
        let v6 = inner_v6(&exit.inner_v6);
        let (gateway4, inner4) = v4.unwrap_or((usual.gateway4, usual.inner4));
        let (gateway6, inner6) = v6.unwrap_or((usual.gateway6, usual.inner6));
        ExitNatSpec {
            device: EXIT_DEVICE.to_owned(),
            uplinks: exit.uplink.iter().cloned().collect(),
            inner4,
            inner6,
            gateway4,
            gateway6,
            ..usual
        }
    }

    /// The price per GiB and per minute that was asked for; what was left out, as configured.
    pub(super) fn price(
        &self,
        (per_gib, per_minute): (Option<&String>, Option<&String>),
    ) -> Result<Price, Problem> {
        let (exit, token) = (&self.config.exit, &self.config.token);
        let bad = |error| Problem::new(ErrorCode::BadRequest, error);
        let per_mib = match per_gib {
            Some(text) => Price::per_mib_of(token.parse(text).map_err(bad)?),
            None => exit.price.per_mib,
        };
        let per_minute = match per_minute {
            Some(text) => token.parse(text).map_err(bad)?,
            None => exit.price.per_minute,
        };
        Ok(Price {
            per_mib,
            per_minute,
        })
    }

    /// Where the exit is paid. A free exit needs neither chain nor wallet.
    fn payee(&self, price: &Price) -> Result<(ChainRef, PayoutAddress), Problem> {
        let nowhere = PayoutAddress::ZERO;
        match (&self.purse, &self.config.chain) {
            (Some(purse), Some(chain)) => Ok((chain.pinned, purse.payments().account())),
            _ if *price == Price::default() => Ok((
                ChainRef {
                    chain_id: 0,
                    contract: nowhere,
                    token: nowhere,
                },
                nowhere,
            )),
            _ => Err(Problem::new(
                ErrorCode::WalletMissing,
                "a paid exit needs a wallet and a chain",
            )),
        }
    }
}

/// The prices that an owner typed.
fn asked(request: &ExitEnableRequest) -> (Option<&String>, Option<&String>) {
    let (per_gib, per_minute) = (&request.price_per_gib, &request.price_per_minute);
    (per_gib.as_ref(), per_minute.as_ref())
}

/// What a word is worth at `price`, and how many are paid ahead.
///
/// # Errors
/// [`ErrorCode::ConfigBadValue`] if no consumer would pay so much ahead.
fn ahead(exit: &ExitConfig, price: Price) -> Result<(Amount, u32), Problem> {
    let (word, words) = (exit.word(&price), exit.prepay_units.max(1));
    if price.allows_ahead(words, word) {
        return Ok((word, words));
    }
    let seen = format!(
        "exit.prepay_units is {words}: with the word in use these are worth more than {MAX_MIB_AHEAD} MiB at this price, and no consumer pays so much ahead"
    );
    Err(Problem::new(ErrorCode::ConfigBadValue, seen)
        .with_next("warren config explain exit.prepay_units"))
}

fn unreachable() -> Problem {
    let seen = "overlay.external is not set, and overlay.listen has no fixed port of exit.endpoint's \
        kind of address: no node could reach this exit";
    Problem::new(ErrorCode::ConfigMissing, seen).with_next("warren config explain overlay.external")
}

/// The gateway is the net's first address.
fn inner_v4(text: &str) -> Option<(Ipv4Addr, ipnet::Ipv4Net)> {
    let net: ipnet::Ipv4Net = text.parse().ok()?;
    Some((
        Ipv4Addr::from(u32::from(net.network()).checked_add(1)?),
        net,
    ))
}

fn inner_v6(text: &str) -> Option<(Ipv6Addr, ipnet::Ipv6Net)> {
    let net: ipnet::Ipv6Net = text.parse().ok()?;
    Some((
        Ipv6Addr::from(u128::from(net.network()).checked_add(1)?),
        net,
    ))
}
