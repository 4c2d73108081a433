use proptest::prelude::*;

use super::*;
use crate::channel::event::{PayeeEvent, PayerEvent};
use crate::channel::fixture::{NOON, lock, open_payee, open_payer, voucher, wei, word};

fn payer() -> PayerChannel {
    let ready = open_payer(1000)
        .handle(&PayerEvent::LockAsked { unit_price: wei(2) }, NOON)
        .next;
    ready
        .handle(&PayerEvent::ReleaseAsked { units: 16 }, NOON)
        .next
}

fn payee() -> PayeeChannel {
    let ready = open_payee(1000);
    let held = ready
        .handle(
            &PayeeEvent::Voucher(voucher(1, 3, vec![lock(1, 2, 100)])),
            NOON,
        )
        .next;
    held.handle(&PayeeEvent::Word(word(1, 100, 20)), NOON).next
}

#[test]
fn a_payers_record_is_the_payer() {
    let channel = payer();
    assert_eq!(
        PayerChannel::decode(&channel.encode()).map(|it| it.encode()),
        Ok(channel.encode())
    );
}

#[test]
fn a_payees_record_is_the_payee() {
    let channel = payee();
    let read = PayeeChannel::decode(&channel.encode(), Rules::default()).unwrap();
    assert_eq!(read.encode(), channel.encode());
}

/// As this program wrote it before there were routes.
fn before_routes(channel: &PayeeChannel) -> Vec<u8> {
    let mut bytes = channel.encode();
    bytes[0] = 1;
    bytes.truncate(bytes.len() - 13); // What routes have paid, and whether more was.
    // The one lane's payment and fold stand before the list of one anchor and what follows it.
    let after = 4 + 8 + 2 * 12 + 1 + 1 + 12;
    let lane_end = bytes.len() - after;
    bytes.drain(lane_end - 5..lane_end);
    bytes
}

#[test]
fn a_record_from_before_there_were_routes_is_read() {
    let channel = payee();
    let read = PayeeChannel::decode(&before_routes(&channel), Rules::default()).unwrap();
    assert_eq!(read, channel);
    // What older records do not say counts as anything: no claim proves another machine.
    let mut wanted = payer();
    wanted.most = warren_proto::Amount::MAX;
    let mut old = payer().encode();
    old.truncate(old.len() - 13); // What all vouchers can come to, and who else signs.
    old[0] = 2;
    let read = PayerChannel::decode(&old).unwrap();
    assert_eq!(read.encode(), wanted.encode());
    old[0] = 1;
    old.truncate(old.len() - 4); // An empty list of locks.
    let read = PayerChannel::decode(&old).unwrap();
    assert_eq!(read.encode(), wanted.encode());
}

#[test]
fn a_cut_or_lengthened_record_is_refused() {
    let (payer, payee) = (payer().encode(), payee().encode());
    for cut in 0..payer.len() {
        assert!(PayerChannel::decode(&payer[..cut]).is_err());
    }
    for cut in 0..payee.len() {
        assert!(PayeeChannel::decode(&payee[..cut], Rules::default()).is_err());
    }
    let long = [payer, vec![0]].concat();
    assert_eq!(
        PayerChannel::decode(&long),
        Err(CodecError::Long { extra: 1 })
    );
    assert!(matches!(
        PayerChannel::decode(&[9]),
        Err(CodecError::Version { found: 9, .. })
    ));
}

proptest! {
    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _any = PayerChannel::decode(&bytes);
        let _any = PayeeChannel::decode(&bytes, Rules::default());
        for version in [1, 2, 3] {
            let versioned = [vec![version], bytes.clone()].concat();
            let _any = PayerChannel::decode(&versioned);
            let _any = PayeeChannel::decode(&versioned, Rules::default());
        }
    }

    #[test]
    fn a_damaged_record_is_an_error_or_a_record(at in 0_usize..400, flip in 1_u8..) {
        let mut bytes = payee().encode();
        let at = at % bytes.len();
        bytes[at] ^= flip;
        if let Ok(read) = PayeeChannel::decode(&bytes, Rules::default()) {
            prop_assert_eq!(read.encode(), bytes);
        }
    }
}
