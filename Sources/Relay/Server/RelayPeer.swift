import Envelope
import NIOCore
import Synchronization

/// A connection, as the engine and other connections see it.
final class RelayPeer: Sendable, Hashable {
  let id: UInt64
  let eventLoop: any EventLoop
  private let receive: @Sendable ([RelayReply]) -> Void

  /// `receive` is called on the event loop.
  init(id: UInt64, eventLoop: any EventLoop, receive: @escaping @Sendable ([RelayReply]) -> Void) {
    self.id = id
    self.eventLoop = eventLoop
    self.receive = receive
  }

  /// Tells the connection something, from any thread.
  func tell(_ replies: [RelayReply]) {
    let receive = receive
    eventLoop.execute { receive(replies) }
  }

  static func == (left: RelayPeer, right: RelayPeer) -> Bool { left === right }
  func hash(into hasher: inout Hasher) { hasher.combine(id) }
}

/// Which connection serves which address right now: for chunks, which go from one to others without the engine.
final class RelayRegistry: Sendable {
  private let state = Mutex<[Address: RelayPeer]>([:])

  func peer(_ address: Address) -> RelayPeer? { state.withLock { $0[address] } }

  func set(_ addresses: [Address], _ peer: RelayPeer) {
    state.withLock { table in
      for address in addresses { table[address] = peer }
    }
  }

  /// Takes out what `peer` still has.
  func remove(_ addresses: [Address], _ peer: RelayPeer) {
    state.withLock { table in
      for address in addresses where table[address] == peer { table[address] = nil }
    }
  }
}
