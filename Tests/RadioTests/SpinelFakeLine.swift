import Foundation
import NIOCore
import NIOPosix
import Wire

@testable import Radio

/// A fake co-processor behind a real pseudo-terminal: what a driver opens is ``path``.
final class SpinelFakeLine: Sendable {
  let path: String
  /// The side that the driver opens, held open so that nobody hangs up before.
  let terminal: FileHandle
  private let channel: any Channel
  private let handler: NIOLoopBound<Handler>

  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    var rcp: SpinelFakeRCP
    /// Who waits for something to become true.
    var waiting: [(condition: (SpinelFakeRCP) -> Bool, done: EventLoopPromise<Void>)] = []

    init(_ rcp: SpinelFakeRCP) { self.rcp = rcp }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let answer = rcp.receive(Array(Self.unwrapInboundIn(data).readableBytesView))
      if !answer.isEmpty { context.writeAndFlush(NIOAny(ByteBuffer(bytes: answer)), promise: nil) }
      check()
    }

    func check() {
      let settled = waiting.filter { $0.condition(rcp) }
      waiting.removeAll { $0.condition(rcp) }
      for (_, done) in settled { done.succeed() }
    }
  }

  init(_ change: @Sendable (inout SpinelFakeRCP) -> Void = { _ in }) async throws {
    var rcp = try SpinelFakeRCP()
    change(&rcp)
    let made = rcp
    let pair = try Terminal.makePair()
    path = pair.path
    terminal = FileHandle(fileDescriptor: pair.terminal, closeOnDealloc: true)
    (channel, handler) = try await NIOPipeBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .takingOwnershipOfDescriptor(inputOutput: pair.controlling) { channel in
        channel.eventLoop.makeCompletedFuture {
          let handler = Handler(made)
          try channel.pipeline.syncOperations.addHandler(handler)
          return (channel, NIOLoopBound(handler, eventLoop: channel.eventLoop))
        }
      }
  }

  var url: RadioURL {
    get throws { try RadioURL("spinel:\(path)") }
  }

  /// Does something with the co-processor; the bytes that come out of it go to the driver.
  func change(_ body: @escaping @Sendable (inout SpinelFakeRCP) throws -> [UInt8]) async throws {
    try await channel.eventLoop.submit { [handler, channel] in
      let bytes = try body(&handler.value.rcp)
      if !bytes.isEmpty { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
      handler.value.check()
    }.get()
  }

  func look<T: Sendable>(_ body: @escaping @Sendable (SpinelFakeRCP) -> T) async throws -> T {
    try await channel.eventLoop.submit { [handler] in body(handler.value.rcp) }.get()
  }

  /// Waits until the co-processor is in some state.
  func wait(until condition: @escaping @Sendable (SpinelFakeRCP) -> Bool) async throws {
    try await channel.eventLoop.flatSubmit { [handler, channel] in
      let done = channel.eventLoop.makePromise(of: Void.self)
      handler.value.waiting.append((condition, done))
      handler.value.check()
      return done.futureResult
    }.get()
  }

  /// Pulls the plug.
  func unplug() async throws { try await channel.close().get() }
}
