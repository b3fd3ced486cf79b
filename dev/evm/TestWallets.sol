// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;

/// @dev ERC-1271's answer.
bytes4 constant YES = 0x1626ba7e;

/// @dev Who signed a digest with 65 bytes; nobody, if they are none.
function signerOf(bytes32 digest, bytes memory signature) pure returns (address) {
    if (signature.length != 65) return address(0);
    bytes32 r;
    bytes32 s;
    uint8 v;
    assembly {
        r := mload(add(signature, 0x20))
        s := mload(add(signature, 0x40))
        v := byte(0, mload(add(signature, 0x60)))
    }
    return ecrecover(digest, v, r, s);
}

/// @dev What an account signs in place of a digest, so that no other account of its owner has signed it as well.
function replaySafe(bytes32 digest, address account) view returns (bytes32) {
    return keccak256(abi.encode(digest, block.chainid, account));
}

/// @title A smart wallet with one owner. Its signatures are `abi.encode(uint256 ownerIndex, bytes signature)`, as those
/// of Coinbase's wallet are.
contract TestWallet {
    address public immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 digest, bytes calldata wrapped) external view returns (bytes4) {
        (uint256 index, bytes memory signature) = abi.decode(wrapped, (uint256, bytes));
        return index == 0 && signerOf(replaySafe(digest, address(this)), signature) == owner ? YES : bytes4(0);
    }
}

/// @title Deploys wallets at addresses that are known before (CREATE2).
contract TestWalletFactory {
    event Created(address indexed wallet, address indexed caller);

    function createAccount(address owner, uint256 nonce) external returns (address wallet) {
        wallet = getAddress(owner, nonce);
        if (wallet.code.length > 0) return wallet;
        new TestWallet{salt: bytes32(nonce)}(owner);
        emit Created(wallet, msg.sender);
    }

    function getAddress(address owner, uint256 nonce) public view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(TestWallet).creationCode, abi.encode(owner)));
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), nonce, code)))));
    }
}

/// @title A factory that uses all gas it is given, and deploys nothing.
contract TestGreedyFactory {
    fallback() external {
        while (true) {}
    }
}

/// @title What an account may delegate to (EIP-7702): its key's plain signature counts.
contract TestDelegate {
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        return signerOf(digest, signature) == address(this) ? YES : bytes4(0);
    }
}

/// @title The same, but its key must sign for this account.
contract TestStrictDelegate {
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        return signerOf(replaySafe(digest, address(this)), signature) == address(this) ? YES : bytes4(0);
    }
}

/// @title Takes every signature in a simulation, and none in a block.
contract TestFickleWallet {
    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        return tx.gasprice == 0 ? YES : bytes4(0);
    }
}

/// @title Takes every signature in a simulation, and all gas in a block.
contract TestGreedyWallet {
    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        while (tx.gasprice > 0) {}
        return YES;
    }
}
