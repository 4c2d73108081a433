// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Base} from "./Base.sol";
import {IChainLock} from "warren/IChainLock.sol";

/// @title What vouchers and words are worth.
contract ClaimTest is Base {
    event Claimed(bytes32 indexed id, address indexed payee, uint96 claimed, uint96 paid);
    event Revealed(bytes32 indexed id, bytes32 indexed anchor, uint32 k, bytes32 word);

    bytes32 private constant SEED = keccak256("seed");

    function test_a_base_is_paid_once_and_by_difference(uint96 first, uint96 second, uint96 deposit) public {
        vm.assume(deposit > 0 && first > 0);
        IChainLock.Params memory p = opened(1, deposit);
        uint96 held = first > deposit ? deposit : first;
        vm.expectEmit(address(lock));
        emit Claimed(lock.channelId(p), payee, held, held);
        vm.prank(stranger);
        lock.claim(claimOf(p, first, noLocks(), noReveals()));
        same(lock.balances(payee), held, "payee");
        same(state(p).claimed, held, "claimed");
        uint96 then_ = second > deposit ? deposit : second;
        IChainLock.Claim memory again = claimOf(p, second, noLocks(), noReveals());
        if (then_ <= held) {
            vm.expectRevert(abi.encodeWithSelector(IChainLock.NothingNew.selector, held));
            lock.claim(again);
            same(lock.balances(payee), held, "payee, again");
        } else {
            vm.expectEmit(address(lock));
            emit Claimed(lock.channelId(p), payee, then_, then_ - held);
            lock.claim(again);
            same(lock.balances(payee), then_, "payee, more");
            same(state(p).claimed, then_, "claimed, more");
        }
        same(state(p).deposit, deposit, "deposit");
        same(state(p).flags, 1, "open");
        same(lock.balances(payer) + lock.balances(stranger), 0, "others");
    }

    function test_every_count_of_words() public {
        // Around every multiple of the stride in which the contract hashes.
        for (uint32 k = 1; k <= 34; ++k) {
            setUp();
            IChainLock.Params memory p = opened(1, 1000);
            IChainLock.Lock memory it = lockOf(SEED, 3, 40, 0);
            vm.expectEmit(address(lock));
            emit Revealed(lock.channelId(p), it.anchor, k, hashed(SEED, 40 - k));
            lock.claim(claimOf(p, 5, one(it), one(reveal(0, SEED, 40, k))));
            same(lock.balances(payee), 5 + 3 * k, "payee");
        }
    }

    function test_words(uint32 units, uint32 k, uint96 price, uint96 base) public {
        units = 1 + units % 300;
        k = 1 + k % units;
        IChainLock.Params memory p = opened(1, MAX);
        IChainLock.Lock memory it = lockOf(SEED, price, units, 0);
        uint256 worth = uint256(price) * k + base;
        if (worth > MAX) worth = MAX;
        IChainLock.Claim memory c = claimOf(p, base, one(it), one(reveal(0, SEED, units, k)));
        if (worth == 0) vm.expectRevert(abi.encodeWithSelector(IChainLock.NothingNew.selector, 0));
        lock.claim(c);
        same(lock.balances(payee), worth, "payee");
    }

    function test_a_word_must_fit(uint32 k, uint32 said) public {
        k = 1 + k % 20;
        said = 1 + said % 20;
        vm.assume(said != k);
        IChainLock.Params memory p = opened(1, 1000);
        IChainLock.Reveal memory it = reveal(0, SEED, 20, k);
        it.k = said;
        IChainLock.Claim memory c = claimOf(p, 1, one(lockOf(SEED, 1, 20, 0)), one(it));
        vm.expectRevert(abi.encodeWithSelector(IChainLock.BadReveal.selector, 0));
        lock.claim(c);
    }

    function bad(IChainLock.Params memory p, IChainLock.Lock memory lock_, IChainLock.Reveal memory it) private {
        IChainLock.Claim memory c = claimOf(p, 1, one(lock_), one(it));
        vm.expectRevert(abi.encodeWithSelector(IChainLock.BadReveal.selector, 0));
        lock.claim(c);
    }

    function test_words_that_were_never_sold() public {
        IChainLock.Params memory p = opened(1, 1000);
        // The eleventh word of a lock of ten fits its anchor; the anchor itself is a word of no unit.
        IChainLock.Lock memory cut = lockOf(SEED, 1, 11, 0);
        cut.units = 10;
        bad(p, cut, reveal(0, SEED, 11, 11));
        bad(p, cut, IChainLock.Reveal(0, 0, cut.anchor));
        bad(p, cut, reveal(1, SEED, 11, 3));
        lock.claim(claimOf(p, 1, one(cut), one(reveal(0, SEED, 11, 10))));
        same(lock.balances(payee), 11, "payee");
    }

    function locks3() private pure returns (IChainLock.Lock[] memory all) {
        all = new IChainLock.Lock[](3);
        all[0] = lockOf(keccak256("a"), 100, 5, 0);
        all[1] = lockOf(keccak256("b"), 10, 5, 0);
        all[2] = lockOf(keccak256("c"), 1, 5, 0);
    }

    function test_several_locks_each_by_its_own() public {
        IChainLock.Params memory p = opened(1, 1000);
        IChainLock.Reveal[] memory told = new IChainLock.Reveal[](2);
        told[0] = reveal(0, keccak256("a"), 5, 2);
        told[1] = reveal(2, keccak256("c"), 5, 3);
        lock.claim(claimOf(p, 0, locks3(), told));
        same(lock.balances(payee), 203, "payee");
    }

    function test_no_lock_counts_twice(uint16 i, uint16 j) public {
        (i, j) = (i % 3, j % 3);
        bytes32[3] memory seeds = [keccak256("a"), keccak256("b"), keccak256("c")];
        IChainLock.Params memory p = opened(1, 1000);
        IChainLock.Reveal[] memory told = new IChainLock.Reveal[](2);
        told[0] = reveal(i, seeds[i], 5, 2);
        told[1] = reveal(j, seeds[j], 5, 2);
        IChainLock.Claim memory c = claimOf(p, 0, locks3(), told);
        if (j <= i) vm.expectRevert(abi.encodeWithSelector(IChainLock.BadReveal.selector, 1));
        lock.claim(c);
        uint96[3] memory prices = [uint96(100), 10, 1];
        same(lock.balances(payee), j <= i ? 0 : 2 * (prices[i] + prices[j]), "payee");
    }

    function test_sixteen_locks_and_no_more() public {
        IChainLock.Params memory p = opened(1, 1000);
        IChainLock.Lock[] memory all = new IChainLock.Lock[](17);
        for (uint256 i = 0; i < 17; ++i) all[i] = lockOf(keccak256(abi.encode(i)), 2, 1, 0);
        IChainLock.Claim memory c = claimOf(p, 9, all, noReveals());
        vm.expectRevert(abi.encodeWithSelector(IChainLock.TooManyLocks.selector, 17));
        lock.claim(c);
        assembly ("memory-safe") {
            mstore(all, 16)
        }
        IChainLock.Reveal[] memory told = new IChainLock.Reveal[](16);
        for (uint16 i = 0; i < 16; ++i) told[i] = reveal(i, keccak256(abi.encode(i)), 1, 1);
        lock.claim(claimOf(p, 9, all, told));
        same(lock.balances(payee), 9 + 32, "payee");
    }

    function test_an_expired_lock_pays_nothing(uint48 late) public {
        IChainLock.Params memory p = opened(1, 1000);
        uint48 expiry = uint48(block.timestamp) + 1000;
        IChainLock.Lock memory it = lockOf(SEED, 10, 5, expiry);
        vm.warp(expiry - 1);
        lock.claim(claimOf(p, 1, one(it), one(reveal(0, SEED, 5, 1))));
        same(lock.balances(payee), 11, "in time");
        vm.warp(uint256(expiry) + late);
        IChainLock.Claim memory c = claimOf(p, 1, one(it), one(reveal(0, SEED, 5, 2)));
        vm.expectRevert(abi.encodeWithSelector(IChainLock.LockExpired.selector, 0, expiry));
        lock.claim(c);
        // Its base is owed all the same.
        lock.claim(claimOf(p, 12, one(it), noReveals()));
        same(lock.balances(payee), 12, "base");
    }

    /// Whatever of a signed claim changes, it is no longer the payer's.
    function test_a_claim_is_as_it_was_signed(uint8 what) public {
        IChainLock.Params memory p = opened(1, 1000);
        opened(2, 1000);
        IChainLock.Claim memory c =
            claimOf(p, 5, one(lockOf(SEED, 10, 5, 0)), one(reveal(0, SEED, 5, 5)));
        what %= 9;
        if (what == 0) c.seq = 8;
        if (what == 1) c.base = 6;
        if (what == 2) c.locks[0].unitPrice = 11;
        if (what == 3) c.locks[0].units = 6;
        if (what == 4) c.locks[0].expiry = type(uint48).max;
        if (what == 5) c.locks = noLocks();
        if (what == 6) c.params.salt = 2;
        if (what == 7) c.vs ^= bytes32(uint256(1) << 255);
        if (what == 8) (c.r, c.vs) = (c.vs, c.r);
        vm.expectRevert(abi.encodeWithSelector(IChainLock.BadSignature.selector, payer));
        lock.claim(c);
    }

    function test_a_high_s_is_no_signature() public {
        IChainLock.Params memory p = opened(1, 1000);
        IChainLock.Claim memory c = claimOf(p, 5, noLocks(), noReveals());
        bytes32 kind = keccak256("Voucher(bytes32 channelId,uint64 seq,uint96 base,bytes32 locksHash)");
        bytes32 hash = digest(keccak256(abi.encode(kind, lock.channelId(p), uint64(7), uint96(5), bytes32(0))));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, hash);
        // No room for a high s in this form but in the bit that is v's: as v it must be read.
        c.vs = bytes32(uint256(s) | (uint256(28 - v) << 255));
        c.r = r;
        vm.expectRevert(abi.encodeWithSelector(IChainLock.BadSignature.selector, payer));
        lock.claim(c);
    }

    function test_a_voucher_follows_the_chain_id() public {
        IChainLock.Params memory p = opened(1, 1000);
        IChainLock.Claim memory c = claimOf(p, 5, noLocks(), noReveals());
        vm.chainId(31338);
        vm.expectRevert(abi.encodeWithSelector(IChainLock.NotOpen.selector, lock.channelId(p)));
        lock.claim(c);
        vm.chainId(31337);
        lock.claim(c);
    }

    function test_the_separator_is_the_standards() public view {
        bytes32 kind =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 domain = keccak256(
            abi.encode(kind, keccak256("ChainLock"), keccak256("1"), block.chainid, address(lock))
        );
        same(uint256(lock.domainSeparator()), uint256(domain), "separator");
    }

    function test_many_claims(uint8 news, uint8 closed) public {
        (news, closed) = (news % 16, closed % 16);
        IChainLock.Claim[] memory all = new IChainLock.Claim[](16);
        uint256 worth = 0;
        for (uint64 i = 0; i < 16; ++i) {
            IChainLock.Params memory p = opened(i, 100);
            all[i] = claimOf(p, uint96(10 + i), noLocks(), noReveals());
            if (i == news) lock.claim(all[i]);
            if (i == closed) {
                vm.prank(payee);
                lock.closeByPayee(p);
            }
            if (i == news || i != closed) worth += 10 + i;
        }
        lock.claimMany(all);
        same(lock.balances(payee), worth, "payee");
        lock.claimMany(all);
        same(lock.balances(payee), worth, "payee, again");
        all[15].base = 99;
        if (closed == 15) return;
        vm.expectRevert(abi.encodeWithSelector(IChainLock.BadSignature.selector, payer));
        lock.claimMany(all);
    }
}
