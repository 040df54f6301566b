import NIOCore
import Wire

/// A client of several relays: keeps a connection to each, sends through the first that works, takes what any holds.
///
/// Everything is outbound. A connection that ends is made again, after a wait that grows and is drawn by chance. An envelope
/// is sent until a relay has decided about it; a relay that is slow, full or silent is passed over, and the same envelope
/// goes to the next, where it is recognised if it came twice.
public final class RelayClient: Sendable {
  private let eventLoop: any EventLoop
  private let state: EventLoopFuture<NIOLoopBound<RelayClientState>>

  /// `receive` is called on one thread, in order.
  public init(
    _ configuration: RelayClientConfiguration, group: any EventLoopGroup, clock: @escaping @Sendable () -> Instant,
    receive: @escaping @Sendable (RelayClientEvent) -> Void
  ) {
    let eventLoop = group.next()
    self.eventLoop = eventLoop
    state = eventLoop.submit {
      NIOLoopBound(RelayClientState(configuration, eventLoop, clock, receive), eventLoop: eventLoop)
    }
  }

  private func run(_ body: @escaping @Sendable (RelayClientState) -> Void) {
    state.whenSuccess { body($0.value) }
  }

  /// Connects.
  public func start() { run { $0.start() } }

  /// Sends an envelope; ``RelayClientEvent/answered(_:_:)`` with `number` follows, however long it takes.
  public func submit(_ bytes: [UInt8], number: UInt64) { run { $0.submit(bytes, number) } }

  /// Sends a chunk of a stream through the first relay that works: once, or not at all. With `number`, the answer follows,
  /// or the refusal when there is no relay.
  public func send(chunk bytes: [UInt8], number: UInt64?) { run { $0.send(chunk: bytes, number) } }

  /// Asks every relay what it still holds; ``RelayClientEvent/held(_:_:)`` follows for each that answers.
  public func askHeld() { run { $0.askHeld() } }

  /// Asks for other nodes' mailboxes from now on, or goes to other relays.
  public func replace(_ configuration: RelayClientConfiguration) { run { $0.replace(configuration) } }

  /// Closes everything; nothing is received after that.
  public func stop() async { try? await state.map { $0.value.stop() }.get() }
}
