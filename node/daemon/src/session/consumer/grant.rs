//! What a consumer accepts as a grant of the offer it chose. Sans-IO.

use warren_proto::{Price, SessionTerms, Signature};

use super::Wish;

/// The grant must be what was offered and asked, or better.
pub(super) fn check(
    wish: &Wish,
    terms: &SessionTerms,
    signature: &Signature,
) -> Result<(), &'static str> {
    let offer = wish.offer.offer();
    let ask = |holds: bool, why| if holds { Ok(()) } else { Err(why) };
    ask(terms.session == wish.session, "another session")?;
    ask(terms.consumer == wish.consumer, "another consumer")?;
    ask(terms.provider == offer.node, "another provider")?;
    ask(
        terms.signed_by(&offer.node, signature),
        "the signature is not the provider's",
    )?;
    ask(terms.consumer_key == wish.tunnel_key, "another tunnel key")?;
    ask(
        terms.price.per_mib <= offer.price.per_mib,
        "a higher price per MiB",
    )?;
    ask(
        terms.price.per_minute <= offer.price.per_minute,
        "a higher price per minute",
    )?;
    ask(terms.unit_price == offer.unit_price, "another unit price")?;
    ask(terms.prepay_units <= offer.prepay_units, "more to prepay")?;
    ask(terms.chain == offer.chain, "another chain")?;
    ask(terms.payee == offer.payee, "another payee")?;
    ask(
        terms.policy_hash == offer.policy.hash,
        "another exit policy",
    )?;
    ask(
        terms.close_window_secs == offer.close_window_secs,
        "another close window",
    )?;
    // Nobody deposits for what costs nothing.
    ask(
        terms.price == Price::default() || terms.min_deposit <= wish.deposit,
        "a larger deposit than is allowed",
    )?;
    // By what it grants, for a lower price makes the same word worth more of it.
    ask(
        terms
            .price
            .allows_ahead(terms.prepay_units, terms.unit_price),
        "more to pay ahead than 128 MiB are worth",
    )?;
    ask(
        !terms.consumer_v4.is_unspecified() && terms.consumer_v4.is_private(),
        "a public inner address",
    )?;
    // RFC 4193: anything else could be somebody's own, and would become this machine's.
    ask(
        terms.consumer_v6.is_unspecified() || terms.consumer_v6.is_unique_local(),
        "a public inner IPv6 address",
    )
}
