import Queue
import Synchronization

/// Whom to tell what comes, on whichever thread it comes.
final class NATSEvents: Sendable {
  private let listeners = Mutex(Listeners())

  private struct Listeners {
    var news: (@Sendable (RelayStoreNews) -> Void)?
    var chunk: (@Sendable (Bytes32, [UInt8]) -> Void)?
  }

  var onNews: (@Sendable (RelayStoreNews) -> Void)? {
    get { listeners.withLock { $0.news } }
    set { listeners.withLock { $0.news = newValue } }
  }

  var onChunk: (@Sendable (Bytes32, [UInt8]) -> Void)? {
    get { listeners.withLock { $0.chunk } }
    set { listeners.withLock { $0.chunk = newValue } }
  }

  func news(_ news: RelayStoreNews) { onNews?(news) }
  func chunk(_ address: Bytes32, _ bytes: [UInt8]) { onChunk?(address, bytes) }
}
