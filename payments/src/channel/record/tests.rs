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
        let versioned = [vec![1], bytes].concat();
        let _any = PayerChannel::decode(&versioned);
        let _any = PayeeChannel::decode(&versioned, Rules::default());
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
