import Queue
import Relay

extension RelayStoreKind {
  /// Stores in files.
  static let onThisMachine = [
    RelayStoreKind(testDescription: "sqlite") { limits in
      let directory = try TemporaryDirectory()
      return (LocalRelayStore(try SQLiteStore(directory: directory.path), limits: limits), [directory])
    }
  ]
}
