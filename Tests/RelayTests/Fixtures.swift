import Foundation
import Queue
import Relay
import TestSupport
import Wire

/// A directory of its own for one test, removed with it.
final class TemporaryDirectory {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent(
      "pangate-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// The stores that must behave alike.
enum StoreKind: CaseIterable, Sendable {
  case memory
  case sqlite
  case sqliteInMemory
  case journaled
  /// Its tables are brought up to date with nearly every transaction.
  case journaledBriefly

  func open(_ directory: TemporaryDirectory) throws -> any MailboxStore {
    switch self {
    case .memory: MemoryStore()
    case .sqlite: try SQLiteStore(directory: directory.path)
    case .sqliteInMemory: try SQLiteStore.inMemory()
    case .journaled: try JournaledStore(directory: directory.path)
    case .journaledBriefly: try JournaledStore(directory: directory.path, journalBytes: 100)
    }
  }
}

/// An address of which all bytes are `byte`.
func address(_ byte: UInt8) -> Bytes32 { Bytes32([UInt8](repeating: byte, count: 32)) ?? .zero }

/// A deposit whose bytes say its sequence number.
func deposit(
  _ seq: UInt64, from sender: UInt8 = 1, topic: UInt64? = nil, protection: UInt8 = 1, size: Int = 10,
  expires: Int64? = nil
) -> Deposit {
  Deposit(
    sender: address(sender), seq: seq, topic: topic, protectionClass: protection,
    accepted: Instant(seconds: 1),
    expires: expires.map { Instant(seconds: $0) }, receiptWanted: seq % 2 == 0,
    bytes: [UInt8](repeating: UInt8(truncatingIfNeeded: seq), count: size))
}
