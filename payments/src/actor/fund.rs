//! Brings money to where a call takes it from: gas and tokens to the key that signs, then from its
//! pot or wallet.

use std::time::Duration;

use warren_proto::{Amount, PayoutAddress};

use crate::calls::Call;
use crate::chain::{Chain, ChainError};
use crate::tx::{Done, Submitter, TxError};

/// Gas given to a fresh key: approve, open, one way to close, and bringing the rest home.
const LIFE_GAS: u64 = 350_000;
/// Gas that one more action may take.
const ACTION_GAS: u64 = 120_000;
/// What a plain transfer of coin takes.
const SEND_GAS: u64 = 21_000;
/// What bringing tokens from a pot and a wallet takes.
const TOKEN_GAS: u64 = 150_000;

/// The tasks of the account that funds and of the key that signs; the same for key 0.
pub(super) struct Hands {
    pub(super) account: Submitter,
    pub(super) key: Submitter,
    pub(super) poll: Duration,
}

/// Submits `call` by its key, which the account gives what it needs first; `None` for an opening that was in a block
/// before: what was given for it is in the channel, and is not given twice.
pub(super) async fn submit(
    chain: &dyn Chain,
    hands: &Hands,
    call: Call,
) -> Result<Option<Done>, TxError> {
    let name = call.name();
    let refused = |source: ChainError| TxError::Refused { call: name, source };
    let has_own_key = hands.key.account() != hands.account.account();
    // Asked before the channel is: what an opening takes along that comes into a block meanwhile is not missing.
    let held = if has_own_key {
        tokens_of(chain, hands.key.account())
            .await
            .map_err(refused)?
    } else {
        Amount::ZERO
    };
    if let Call::Open { params, .. } = &call {
        let opened = chain.channel(params.id(&chain.chain_ref())).await;
        if opened.map_err(refused)?.is_some() {
            return Ok(None);
        }
    }
    if has_own_key {
        endow(chain, hands, &call, held).await?;
    }
    with_tokens(chain, &hands.key, call).await.map(Some)
}

/// What a gas costs at worst in the next blocks: as a first transaction offers.
async fn gas_price(chain: &dyn Chain) -> Result<Amount, ChainError> {
    let fees = chain.fees().await?;
    let twice = fees.base_fee.checked_mul(2).unwrap_or(Amount::MAX);
    Ok(twice.checked_add(fees.tip).unwrap_or(Amount::MAX))
}

/// Gives the key gas, and tokens beyond those it held, and waits until it has them; a block is enough, for what the
/// account sent it sends again until it is confirmed.
async fn endow(chain: &dyn Chain, hands: &Hands, call: &Call, held: Amount) -> Result<(), TxError> {
    let name = call.name();
    let refused = |source: ChainError| TxError::Refused { call: name, source };
    let key = hands.key.account();
    let (tokens, gas) = if let Call::Open { amount, .. } = call {
        (*amount, LIFE_GAS)
    } else if let Call::TopUp { amount, .. } = call {
        (*amount, ACTION_GAS)
    } else {
        (Amount::ZERO, ACTION_GAS)
    };
    let price = gas_price(chain).await.map_err(refused)?;
    let worth = |gas| price.checked_mul(gas).unwrap_or(Amount::MAX);
    let coin = chain.native_balance(key).await.map_err(refused)?;
    let coin = if coin < worth(ACTION_GAS) {
        worth(gas).saturating_sub(coin)
    } else {
        Amount::ZERO
    };
    let missing = tokens.saturating_sub(held);
    if coin == Amount::ZERO && missing == Amount::ZERO {
        return Ok(());
    }
    if missing > Amount::ZERO {
        // No money goes towards a contract that is not ours.
        chain.verify_contract().await.map_err(refused)?;
    }
    let account = &hands.account;
    // Tokens that go to a key without coin can only lie there.
    let needed = if missing > Amount::ZERO { TOKEN_GAS } else { 0 };
    let needed = worth(needed.saturating_add(SEND_GAS)).checked_add(coin);
    let have = chain.native_balance(account.account()).await;
    if coin > Amount::ZERO && have.map_err(refused)? < needed.unwrap_or(Amount::MAX) {
        return Err(refused(ChainError::NoGasMoney));
    }
    let give_coin = async {
        if coin > Amount::ZERO {
            let call = Call::SendNative {
                to: key,
                amount: coin,
            };
            account.submit_once(call).await?;
        }
        Ok(())
    };
    let given = async {
        let (coin, tokens) = tokio::join!(give_coin, give_tokens(chain, account, key, missing));
        coin.and(tokens)
    };
    tokio::pin!(given);
    loop {
        tokio::select! {
            done = &mut given => return done,
            () = tokio::time::sleep(hands.poll) => {
                let has_coin = chain.native_balance(key).await.is_ok_and(|it| it >= worth(ACTION_GAS));
                let has_tokens = tokens_of(chain, key).await.is_ok_and(|it| it >= tokens);
                if has_coin && has_tokens {
                    return Ok(());
                }
            }
        }
    }
}

async fn tokens_of(chain: &dyn Chain, key: PayoutAddress) -> Result<Amount, ChainError> {
    let outside = chain.token_balance(key).await?;
    let inside = chain.balance(key).await?;
    Ok(outside.checked_add(inside).unwrap_or(Amount::MAX))
}

/// From the account's wallet, and what that lacks from its pot.
async fn give_tokens(
    chain: &dyn Chain,
    account: &Submitter,
    to: PayoutAddress,
    missing: Amount,
) -> Result<(), TxError> {
    if missing == Amount::ZERO {
        return Ok(());
    }
    let refused = |source: ChainError| TxError::Refused {
        call: "transfer",
        source,
    };
    let outside = chain.token_balance(account.account()).await;
    let outside = outside.map_err(refused)?.min(missing);
    let inside = missing.saturating_sub(outside);
    if inside > Amount::ZERO {
        let amount = inside;
        account.submit_once(Call::Withdraw { to, amount }).await?;
    }
    if outside > Amount::ZERO {
        let amount = outside;
        account.submit_once(Call::Transfer { to, amount }).await?;
    }
    Ok(())
}

/// Brings home what the key of a closed channel still holds: pot, tokens, and coin worth sending.
pub(super) async fn sweep(chain: &dyn Chain, hands: &Hands) -> Result<(), TxError> {
    let (key, to) = (hands.key.account(), hands.account.account());
    let refused = |source: ChainError| TxError::Refused {
        call: "sweep",
        source,
    };
    let pot = chain.balance(key).await.map_err(refused)?;
    if pot > Amount::ZERO {
        let call = Call::Withdraw { to, amount: pot };
        endow(chain, hands, &call, Amount::ZERO).await?;
        hands.key.submit(call).await?;
    }
    let tokens = chain.token_balance(key).await.map_err(refused)?;
    if tokens > Amount::ZERO {
        let call = Call::Transfer { to, amount: tokens };
        endow(chain, hands, &call, Amount::ZERO).await?;
        hands.key.submit(call).await?;
    }
    let price = gas_price(chain).await.map_err(refused)?;
    let coin = chain.native_balance(key).await.map_err(refused)?;
    // Room for a price that rises meanwhile; what is left then is dust.
    let fee = price.checked_mul(2 * SEND_GAS).unwrap_or(Amount::MAX);
    let amount = coin.saturating_sub(fee);
    if amount > fee {
        hands.key.submit(Call::SendNative { to, amount }).await?;
    }
    Ok(())
}

/// Submits `call`; if it takes tokens, from the pot, which the wallet fills up first if it must.
async fn with_tokens(
    chain: &dyn Chain,
    submitter: &Submitter,
    call: Call,
) -> Result<Done, TxError> {
    let name = call.name();
    let refused = |source: ChainError| TxError::Refused { call: name, source };
    let (Call::Open { amount, .. } | Call::TopUp { amount, .. }) = call else {
        return submitter.submit(call).await;
    };
    // No money goes to a contract that is not ours.
    chain.verify_contract().await.map_err(refused)?;
    let account = submitter.account();
    // A pot that may go to one address only opens no channels.
    let fixed = chain.beneficiary(account).await.map_err(refused)?.is_some();
    let pot = if fixed {
        Amount::ZERO
    } else {
        chain.balance(account).await.map_err(refused)?
    };
    let wallet = chain.token_balance(account).await.map_err(refused)?;
    let missing = amount.saturating_sub(pot);
    if missing == Amount::ZERO {
        return submitter.submit(from_pot(call)).await;
    }
    let direct = wallet >= amount;
    let needed = if direct { amount } else { missing };
    let first = if direct {
        call.clone()
    } else {
        Call::Deposit { amount: missing }
    };
    let allowed = chain.allowance(account).await.map_err(refused)?;
    let done = if allowed >= needed {
        submitter.submit(first).await?
    } else {
        if allowed > Amount::ZERO {
            // There are tokens, USDT among them, that take no new allowance over an old one.
            let amount = Amount::ZERO;
            submitter.submit(Call::Approve { amount }).await?;
        }
        // Handed in together: the second goes out when the first is in a block, not later.
        let approve = submitter.submit(Call::Approve { amount: needed });
        let (approved, done) = tokio::join!(approve, submitter.submit(first));
        approved?;
        done?
    };
    if direct {
        return Ok(done);
    }
    submitter.submit(from_pot(call)).await
}

fn from_pot(call: Call) -> Call {
    match call {
        Call::Open { params, amount } => Call::OpenFromBalance { params, amount },
        Call::TopUp { params, amount } => Call::TopUpFromBalance { params, amount },
        other @ (Call::Approve { .. }
        | Call::Deposit { .. }
        | Call::Withdraw { .. }
        | Call::SetBeneficiary { .. }
        | Call::PayOut { .. }
        | Call::OpenFromBalance { .. }
        | Call::TopUpFromBalance { .. }
        | Call::Claim(_)
        | Call::ClaimMany(_)
        | Call::CoopClose { .. }
        | Call::CloseByPayee { .. }
        | Call::StartClose { .. }
        | Call::FinishClose { .. }
        | Call::Mint { .. }
        | Call::Transfer { .. }
        | Call::SendNative { .. }) => other,
    }
}
