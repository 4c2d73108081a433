// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {ChainLock} from "warren/ChainLock.sol";
import {IChainLock} from "warren/IChainLock.sol";
import {DevToken} from "warren/DevToken.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title The cheats of forge and halmos that the proofs use.
interface Vm {
    function addr(uint256 key) external pure returns (address);
    function assume(bool condition) external pure;
    function chainId(uint256 id) external;
    function envOr(string calldata name, string calldata otherwise) external view returns (string memory);
    function expectRevert(bytes calldata data) external;
    function expectRevert() external;
    function expectRevert(bytes4 selector) external;
    function expectEmit(address emitter) external;
    function load(address account, bytes32 slot) external view returns (bytes32);
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);
    function prank(address sender) external;
    function readFile(string calldata path) external view returns (string memory);
    function sign(uint256 key, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);
    function store(address account, bytes32 slot, bytes32 value) external;
    function warp(uint256 timestamp) external;
}

/// @title A payer, a payee, a stranger, a token and the contract, as its committed bytes.
abstract contract Base {
    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    uint256 internal constant PAYER_KEY = 0xA11CE;
    uint256 internal constant PAYEE_KEY = 0xB0B;
    uint32 internal constant PERIOD = 1 days;
    uint96 internal constant MAX = type(uint96).max;

    address internal payer;
    address internal payee;
    address internal stranger;
    DevToken internal token;
    ChainLock internal lock;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        (payer, payee, stranger) = (vm.addr(PAYER_KEY), vm.addr(PAYEE_KEY), address(0x57A6));
        token = new DevToken();
        lock = deployed(address(token));
    }

    /// The committed bytes, or those of the artefact that CHAINLOCK names: how a mutant is tried.
    function deployed(address of_) internal returns (ChainLock made) {
        string memory path = vm.envOr("CHAINLOCK", "../artefacts/ChainLock.json");
        bytes memory code = vm.parseJsonBytes(vm.readFile(path), ".bytecode");
        bytes memory all = bytes.concat(code, abi.encode(of_));
        assembly ("memory-safe") {
            made := create(0, add(all, 0x20), mload(all))
            if iszero(made) {
                returndatacopy(0, 0, returndatasize())
                revert(0, returndatasize())
            }
        }
    }

    // ---- Words to make calls of ----------------------------------------------------------------------------

    function params(uint64 salt) internal view returns (IChainLock.Params memory) {
        return IChainLock.Params(payer, payee, PERIOD, salt);
    }

    /// The hash `k` steps from `word`, said the slow way.
    function hashed(bytes32 word, uint256 k) internal pure returns (bytes32) {
        for (uint256 i = 0; i < k; ++i) word = keccak256(abi.encode(word));
        return word;
    }

    function noLocks() internal pure returns (IChainLock.Lock[] memory) {
        return new IChainLock.Lock[](0);
    }

    function noReveals() internal pure returns (IChainLock.Reveal[] memory) {
        return new IChainLock.Reveal[](0);
    }

    /// A lock of `units` at `price`, the seed of whose words is `seed`.
    function lockOf(bytes32 seed, uint96 price, uint32 units, uint48 expiry)
        internal
        pure
        returns (IChainLock.Lock memory)
    {
        return IChainLock.Lock(hashed(seed, units), price, units, expiry);
    }

    /// What opens `k` units of such a lock.
    function reveal(uint16 index, bytes32 seed, uint32 units, uint32 k)
        internal
        pure
        returns (IChainLock.Reveal memory)
    {
        return IChainLock.Reveal(index, k, hashed(seed, units - k));
    }

    function one(IChainLock.Lock memory it) internal pure returns (IChainLock.Lock[] memory all) {
        all = new IChainLock.Lock[](1);
        all[0] = it;
    }

    function one(IChainLock.Reveal memory it) internal pure returns (IChainLock.Reveal[] memory all) {
        all = new IChainLock.Reveal[](1);
        all[0] = it;
    }

    function claimOf(
        IChainLock.Params memory p,
        uint96 base,
        IChainLock.Lock[] memory locks,
        IChainLock.Reveal[] memory reveals
    ) internal view returns (IChainLock.Claim memory c) {
        (c.params, c.seq, c.base, c.locks, c.reveals) = (p, 7, base, locks, reveals);
        bytes32 locksHash = locks.length == 0 ? bytes32(0) : keccak256(abi.encode(locks));
        bytes32 kind = keccak256("Voucher(bytes32 channelId,uint64 seq,uint96 base,bytes32 locksHash)");
        (c.r, c.vs) = signed(PAYER_KEY, keccak256(abi.encode(kind, lock.channelId(p), uint64(7), base, locksHash)));
    }

    function consent(IChainLock.Params memory p, uint96 amount, uint48 notAfter)
        internal
        view
        returns (bytes32 r, bytes32 vs)
    {
        bytes32 kind = keccak256("PayeeClose(bytes32 channelId,uint96 finalAmount,uint48 notAfter)");
        return signed(PAYEE_KEY, keccak256(abi.encode(kind, lock.channelId(p), amount, notAfter)));
    }

    /// The ERC-2098 form of a signature over EIP-712 data.
    function signed(uint256 key, bytes32 structHash) internal view returns (bytes32 r, bytes32 vs) {
        (uint8 v, bytes32 r_, bytes32 s) = vm.sign(key, digest(structHash));
        return (r_, bytes32(uint256(s) | (uint256(v - 27) << 255)));
    }

    /// Independent of the contract's own separator.
    function digest(bytes32 structHash) internal view returns (bytes32) {
        bytes32 kind =
            keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
        bytes32 domain = keccak256(
            abi.encode(kind, keccak256("ChainLock"), keccak256("1"), block.chainid, address(lock))
        );
        return keccak256(bytes.concat("\x19\x01", domain, structHash));
    }

    // ---- States --------------------------------------------------------------------------------------------

    /// Gives `who` tokens that the contract may take.
    function fund(address who, uint96 amount) internal {
        token.mint(who, amount);
        vm.prank(who);
        token.approve(address(lock), type(uint256).max);
    }

    function opened(uint64 salt, uint96 amount) internal returns (IChainLock.Params memory p) {
        p = params(salt);
        fund(payer, amount);
        vm.prank(payer);
        lock.open(p, amount);
    }

    function state(IChainLock.Params memory p) internal view returns (IChainLock.Channel memory) {
        return lock.channels(lock.channelId(p));
    }

    // ---- Demands -------------------------------------------------------------------------------------------

    error Unequal(uint256 found, uint256 expected, string what);

    function same(uint256 found, uint256 expected, string memory what) internal pure {
        if (found != expected) revert Unequal(found, expected, what);
    }

    function same(address found, address expected, string memory what) internal pure {
        same(uint160(found), uint160(expected), what);
    }
}
