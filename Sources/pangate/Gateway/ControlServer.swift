import Foundation
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// The control socket: a Unix socket whose file permissions (0660) say who may ask.
struct ControlServer: Service {
  let path: String
  let group: any EventLoopGroup
  let logger: Logger
  private let answer: @Sendable (ControlRequest) async -> ControlReply
  private let open = OpenChannels()

  init(
    path: String, group: any EventLoopGroup, logger: Logger,
    answer: @escaping @Sendable (ControlRequest) async -> ControlReply
  ) {
    self.path = path
    self.group = group
    self.logger = logger
    self.answer = answer
  }

  func run() async throws {
    // A socket that nobody listens on was left by a process that was killed.
    if let other = try? await ClientBootstrap(group: group).connect(unixDomainSocketPath: path).get() {
      try? await other.close().get()
      throw Failure.cannotStart(
        "\(path): the control socket is in use by another process; stop that, or give this one another 'control'")
    }
    unsafe unlink(path)
    let server: NIOAsyncChannel<NIOAsyncChannel<ByteBuffer, ByteBuffer>, Never>
    do {
      // Nobody but this user between the socket's making and its final permissions.
      let mask = umask(0o177)
      defer { umask(mask) }
      server = try await ServerBootstrap(group: group)
        .bind(unixDomainSocketPath: path) { channel in
          channel.eventLoop.makeCompletedFuture {
            try NIOAsyncChannel<ByteBuffer, ByteBuffer>(wrappingChannelSynchronously: channel)
          }
        }
    } catch {
      throw Failure.cannotStart(
        "\(path): cannot open the control socket: \(error); check 'control' in the configuration")
    }
    unsafe chmod(path, 0o660)
    defer { unsafe unlink(path) }
    try await withGracefulShutdownHandler {
      try await server.executeThenClose { connections in
        try await withThrowingDiscardingTaskGroup { group in
          for try await connection in connections {
            open.add(connection.channel)
            group.addTask {
              await serve(connection)
              open.remove(connection.channel)
            }
          }
        }
      }
    } onGracefulShutdown: {
      server.channel.close(promise: nil)
      // Whoever is still connected has had its answer.
      open.closeAll()
    }
  }

  /// One line, one answer, until the other end goes or says too much.
  private func serve(_ connection: NIOAsyncChannel<ByteBuffer, ByteBuffer>) async {
    try? await connection.executeThenClose { inbound, outbound in
      var line: [UInt8] = []
      for try await bytes in inbound {
        for byte in bytes.readableBytesView {
          guard byte == 0x0a else {
            line.append(byte)
            if line.count > ControlCoding.maximumRequest { return }
            continue
          }
          let reply: ControlReply
          if let request = ControlCoding.decode(ControlRequest.self, line) {
            reply = await answer(request)
          } else {
            reply = .error("not a request of this version of pangate")
          }
          line.removeAll()
          try await outbound.write(ByteBuffer(bytes: ControlCoding.encode(reply)))
        }
      }
    }
  }
}

/// The connections that are open, to be closed when the service ends.
private final class OpenChannels: Sendable {
  private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

  func add(_ channel: any Channel) { channels.withLock { $0[ObjectIdentifier(channel)] = channel } }
  func remove(_ channel: any Channel) { channels.withLock { $0[ObjectIdentifier(channel)] = nil } }
  func closeAll() {
    for channel in channels.withLock({ Array($0.values) }) { channel.close(promise: nil) }
  }
}
