import Queue
import Relay

extension RelayStoreKind {
  /// Stores in files.
  static let onThisMachine = [
    RelayStoreKind(testDescription: "sqlite") { limits in
      let directory = try TemporaryDirectory()
      return (LocalRelayStore(try SQLiteStore(directory: directory.path), limits: limits), [directory])
    },
    RelayStoreKind(testDescription: "journal") { limits in
      let directory = try TemporaryDirectory()
      let store = try JournaledStore(directory: directory.path, journalBytes: 500)
      return (LocalRelayStore(store, limits: limits), [directory])
    },
  ]
}
