//! The digests computed here are those the contract computes.

use ethers_core::utils::id;
use warren_payments::chain::{CallRequest, Chain};
use warren_payments::eip712::domain_separator;
use warren_proto::{Amount, ChannelParams, PayoutAddress};

use crate::party::world;

#[tokio::test]
async fn the_contract_has_the_same_domain_and_the_same_ids() {
    let chain = world();
    let pinned = chain.chain_ref();
    let ask = async |data: Vec<u8>| {
        let from = PayoutAddress::ZERO;
        let request = CallRequest {
            from,
            to: pinned.contract,
            value: Amount::ZERO,
            data,
        };
        chain.call(request).await.unwrap()
    };
    let domain = ask(id("domainSeparator()").to_vec()).await;
    assert_eq!(domain, domain_separator(&pinned));

    let params = ChannelParams {
        payer: PayoutAddress::from_bytes([1; 20]),
        payee: PayoutAddress::from_bytes([2; 20]),
        period_secs: 7200,
        salt: u64::MAX,
    };
    let mut data = id("channelId((address,address,uint32,uint64))").to_vec();
    let mut word = |bytes: &[u8]| {
        data.extend(&[0; 32][bytes.len()..]);
        data.extend(bytes);
    };
    word(params.payer.as_bytes());
    word(params.payee.as_bytes());
    word(&params.period_secs.to_be_bytes());
    word(&params.salt.to_be_bytes());
    assert_eq!(ask(data).await, params.id(&pinned).as_bytes());
}
