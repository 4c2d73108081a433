use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::file::{self, WalletFileError};
use super::*;
use crate::voucher::verify_signature;

const PHRASE: &str = "test test test test test test test test test test test junk";

#[test]
fn the_account_is_the_one_every_other_wallet_derives() {
    let wallet = Wallet::from_phrase(PHRASE).unwrap();
    assert_eq!(
        wallet.account().to_string(),
        "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266"
    );
    let second = &wallet.payer_keys(1, 1).unwrap()[0];
    assert_eq!(
        second.address().to_string(),
        "0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
    );
}

#[test]
fn blanks_and_case_do_not_matter_but_the_checksum_does() {
    let shouted = format!("  {}\n", PHRASE.to_uppercase());
    assert!(Wallet::from_phrase(&shouted).is_ok());
    let error = Wallet::from_phrase(&PHRASE.replace("junk", "test")).unwrap_err();
    assert_eq!(error, WalletError::Mnemonic { words: 12 });
}

#[test]
fn two_new_wallets_differ_and_show_nothing() {
    let (one, two) = (Wallet::generate().unwrap(), Wallet::generate().unwrap());
    assert_ne!(one.account(), two.account());
    assert_eq!(format!("{one:?}"), format!("Wallet({})", one.account()));
    assert_eq!(
        format!("{:?}", one.account_key()),
        format!("WalletKey({})", one.account())
    );
}

#[test]
fn a_signature_is_low_s_and_recovers_to_its_signer() {
    let wallet = Wallet::from_phrase(PHRASE).unwrap();
    for byte in 0..32 {
        let digest = Digest([byte; 32]);
        let signature = wallet.account_key().sign_digest(&digest);
        assert_eq!(
            verify_signature(&digest, &signature, &wallet.account()),
            Ok(())
        );
        let wide = wallet.account_key().sign_tx_hash(&[byte; 32]);
        assert!(wide[64] <= 1 && wide[32] < 0x80);
    }
}

#[test]
fn a_file_opens_with_its_passphrase_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wallet.age");
    let wallet = Wallet::generate().unwrap();
    file::create(&path, &wallet, "correct horse", 1).unwrap();

    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(
        !fs::read(&path)
            .unwrap()
            .windows(8)
            .any(|it| wallet.phrase().as_bytes().starts_with(it))
    );
    assert_eq!(
        file::open(&path, "correct horse").unwrap().account(),
        wallet.account()
    );
    assert!(matches!(
        file::open(&path, "battery"),
        Err(WalletFileError::Passphrase { .. })
    ));
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn a_wallet_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wallet.age");
    let wallet = Wallet::generate().unwrap();
    file::create(&path, &wallet, "p", 1).unwrap();
    let again = file::create(&path, &Wallet::generate().unwrap(), "p", 1);
    assert!(matches!(again, Err(WalletFileError::Exists { .. })));
    assert_eq!(file::open(&path, "p").unwrap().account(), wallet.account());
}

#[test]
fn a_file_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wallet.age");
    file::create(&path, &Wallet::generate().unwrap(), "p", 1).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let error = file::open(&path, "p").unwrap_err();
    assert!(
        matches!(error, WalletFileError::Open { mode: 0o640, .. }),
        "{error}"
    );
}

#[test]
fn a_damaged_file_is_an_error_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("wallet.age");
    file::create(&path, &Wallet::generate().unwrap(), "p", 1).unwrap();
    fs::write(&path, b"not age at all").unwrap();
    assert!(matches!(
        file::open(&path, "p"),
        Err(WalletFileError::Damaged { .. })
    ));
}

#[test]
fn keys_derived_together_are_those_derived_one_by_one() {
    let wallet = Wallet::generate().unwrap();
    let together = wallet.payer_keys(0, 4).unwrap();
    let again = Wallet::from_phrase(wallet.phrase()).unwrap();
    for (index, key) in (0..).zip(&together) {
        let alone = again.payer_keys(index, 1).unwrap();
        assert_eq!(alone.len(), 1);
        assert_eq!(key.address(), alone[0].address());
    }
    assert_eq!(together[0].address(), wallet.account());
    let known = wallet.clone().payer_keys(1, 2).unwrap();
    assert_eq!(known[1].address(), together[2].address());
}
