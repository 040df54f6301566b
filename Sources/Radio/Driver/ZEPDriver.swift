import IEEE802154
import NIOCore
import NIOPosix
import Wire

/// Simulated radios over UDP (ZEP version 2), with this process as the one that they all hear.
///
/// Each peer that has sent a frame, or greeted with a HELLO, is on the air. A frame for a device that was heard goes to its
/// peer alone, everything else to all. What a transceiver does — filter, acknowledgments, retransmissions, frame pending —
/// is done by ``SoftwareRadio``.
public final class ZEPDriver: RadioDriver {
  public let url: RadioURL
  private let host: String
  private let port: Int
  private let group: any EventLoopGroup
  private let peer: (host: String, port: Int)?
  private let stream = RadioEventStream()
  private let link = ZEPLink()

  /// `url` is of the kind ``RadioURL/Target/zep(host:port:)``.
  public init(_ url: RadioURL, host: String, port: Int, group: any EventLoopGroup) {
    self.url = url
    self.host = host
    self.port = port
    self.group = group
    peer = nil
  }

  /// One radio of several, which `peer` hears: that of a node. `url` is of the kind ``RadioURL/Target/zepPeer(host:port:)``.
  public init(_ url: RadioURL, peer: (host: String, port: Int), group: any EventLoopGroup) {
    self.url = url
    host = peer.host.contains(":") ? "::" : "0.0.0.0"
    port = 0
    self.peer = peer
    self.group = group
  }

  public var events: AsyncStream<RadioEvent> { stream.events }
  public var statistics: RadioStatistics { stream.statistics }

  /// The port that is bound, while the driver is open: the one of the URL, or what the system chose for 0.
  public var boundPort: Int? { link.channel?.localAddress?.port }

  public func open(_ settings: RadioSettings) async throws(RadioError) -> RadioDescription {
    await close()
    stream.restart()
    let (stream, url) = (stream, url)
    var other: SocketAddress?
    if let peer {
      guard let address = try? SocketAddress.makeAddressResolvingHost(peer.host, port: peer.port) else {
        throw RadioError(
          .notFound, radio: url.description, detail: "'\(peer.host)' is no address that is known",
          remedy: "name one, for example 127.0.0.1")
      }
      other = address
    }
    let peer = other
    do {
      let channel = try await DatagramBootstrap(group: group)
        .channelOption(.socketOption(.so_reuseaddr), value: 1)
        .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 2048))
        .channelInitializer { channel in
          channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(
              ZEPHandler(settings: settings, stream: stream, url: url, peer: peer), name: ZEPHandler.name)
          }
        }
        .bind(host: host, port: port).get()
      link.channel = channel
    } catch {
      throw Self.error(error, url, host: host, port: port)
    }
    return RadioDescription(capabilities: SoftwareRadio.capabilities, name: "ZEP over UDP")
  }

  private static func error(_ error: any Error, _ url: RadioURL, host: String, port: Int) -> RadioError {
    let radio = url.description
    guard let system = error as? IOError else {
      return RadioError(
        .notFound, radio: radio, detail: "'\(host)' is no address of this machine",
        remedy: "name one, for example 127.0.0.1, or 0.0.0.0 for all")
    }
    switch system.errnoCode {
    case EADDRINUSE:
      return RadioError(
        .inUse, radio: radio, detail: "another program has UDP port \(port)",
        remedy: "stop it, or give this gateway another port")
    case EADDRNOTAVAIL:
      return RadioError(
        .notFound, radio: radio, detail: "'\(host)' is no address of this machine",
        remedy: "name one, for example 127.0.0.1, or 0.0.0.0 for all")
    case EACCES, EPERM:
      return RadioError(
        .noPermission, radio: radio, detail: "this user may not bind UDP port \(port)",
        remedy: "use a port over 1023")
    default: return RadioError(.failed, radio: radio, detail: "cannot bind: \(system)")
    }
  }

  public func transmit(_ frame: [UInt8]) async -> TransmitOutcome {
    guard let channel = link.channel else { return .failed }
    let outcome = try? await channel.eventLoop.flatSubmit {
      let promise = channel.eventLoop.makePromise(of: TransmitOutcome.self)
      do {
        let handler = try channel.pipeline.syncOperations.handler(type: ZEPHandler.self)
        handler.transmit(frame, promise: promise)
      } catch { promise.succeed(.failed) }
      return promise.futureResult
    }.get()
    let result = outcome ?? .failed
    stream.count(result)
    return result
  }

  public func setSourceMatch(_ devices: SourceMatch) async throws(RadioError) {
    guard let channel = link.channel else { return }
    try? await channel.eventLoop.submit {
      try channel.pipeline.syncOperations.handler(type: ZEPHandler.self).radio.sourceMatch = devices
    }.get()
  }

  public func close() async {
    guard let channel = link.take() else { return }
    try? await channel.close().get()
    stream.finish()
  }
}
