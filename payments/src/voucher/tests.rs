use warren_proto::{ChainRef, HashLock};

use super::*;
use crate::wallet::Wallet;

fn chain() -> ChainRef {
    ChainRef {
        chain_id: 31337,
        contract: PayoutAddress::from_bytes([0xc0; 20]),
        token: PayoutAddress::from_bytes([0x70; 20]),
    }
}

fn lock(byte: u8) -> Lock {
    Lock {
        anchor: HashLock::from_bytes([byte; 32]),
        unit_price: Amount::from_wei_u64(3),
        units: 256,
        expiry: 0,
    }
}

fn world() -> (Wallet, ChannelParams, Voucher) {
    let wallet = Wallet::generate().unwrap();
    let params = ChannelParams {
        payer: wallet.account(),
        payee: PayoutAddress::from_bytes([2; 20]),
        period_secs: 3600,
        salt: 1,
    };
    let draft = Voucher {
        channel: params.id(&chain()),
        seq: 1,
        base: Amount::from_wei_u64(10),
        locks: vec![lock(1)],
        signature: [0; 64],
    };
    let voucher = wallet.account_key().sign_voucher(draft, &chain());
    (wallet, params, voucher)
}

#[test]
fn the_payers_own_voucher_is_verified() {
    let (_, params, voucher) = world();
    let verified = VerifiedVoucher::verify(voucher.clone(), &params, &chain()).unwrap();
    assert_eq!(verified.get(), &voucher);
}

#[test]
fn a_change_of_any_field_breaks_the_signature() {
    let (_, params, voucher) = world();
    let changes: [fn(&mut Voucher); 6] = [
        |it| it.seq = 2,
        |it| it.base = Amount::from_wei_u64(11),
        |it| it.locks.push(lock(2)),
        |it| it.locks.clear(),
        |it| it.locks[0].units = 255,
        |it| it.locks[0].expiry = 1,
    ];
    for change in changes {
        let mut changed = voucher.clone();
        change(&mut changed);
        let result = VerifiedVoucher::verify(changed, &params, &chain());
        assert!(
            matches!(result, Err(VoucherError::Signature { .. })),
            "{result:?}"
        );
    }
}

#[test]
fn a_voucher_is_worthless_in_another_channel_contract_or_chain() {
    let (_, params, voucher) = world();
    let other_channel = ChannelParams { salt: 2, ..params };
    let other_contract = ChainRef {
        contract: PayoutAddress::from_bytes([0xc1; 20]),
        ..chain()
    };
    let other_chain = ChainRef {
        chain_id: 1,
        ..chain()
    };
    for (params, chain) in [
        (other_channel, chain()),
        (params, other_contract),
        (params, other_chain),
    ] {
        // As it is, it names another channel; renamed, the signature no longer fits.
        let result = VerifiedVoucher::verify(voucher.clone(), &params, &chain);
        assert!(matches!(result, Err(VoucherError::OtherChannel { .. })));
        let renamed = Voucher {
            channel: params.id(&chain),
            ..voucher.clone()
        };
        let result = VerifiedVoucher::verify(renamed, &params, &chain);
        assert!(matches!(result, Err(VoucherError::Signature { .. })));
    }
}

#[test]
fn a_high_s_twin_of_a_good_signature_is_malformed() {
    use ethers_core::k256::ecdsa::Signature;
    let (wallet, _, voucher) = world();
    let digest = voucher_digest(&voucher, &chain());
    let mut low = voucher.signature;
    low[32] &= 0x7f;
    let signature = Signature::from_slice(&low).unwrap();
    let (r, s) = (signature.r(), signature.s());
    let twin = Signature::from_scalars(r.to_bytes(), (-*s).to_bytes()).unwrap();
    let bytes: [u8; 64] = twin.to_bytes().into();
    // The compact form has no bit to hold a high s: it is read as a parity, and fails either way.
    assert!(verify_signature(&digest, &bytes, &wallet.account()).is_err());
}

#[test]
fn no_signature_bytes_panic() {
    let (wallet, _, voucher) = world();
    let digest = voucher_digest(&voucher, &chain());
    for byte in [0, 1, 0x7f, 0x80, 0xff] {
        assert!(verify_signature(&digest, &[byte; 64], &wallet.account()).is_err());
    }
}
