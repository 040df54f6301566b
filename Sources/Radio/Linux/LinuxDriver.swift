import CNetlink
import IEEE802154
import NIOCore
import NIOPosix
import Synchronization
import Wire

/// A radio of the Linux kernel: `wpanN` for taking part in a PAN, or a monitor interface for listening.
///
/// Frames come without FCS and after the kernel's own decryption, and leave whole. The kernel acknowledges and repeats by
/// what the hardware can do, and does not tell whether a frame was acknowledged. No lowpan interface may be on top of it.
public final class LinuxDriver: RadioDriver {
  public let url: RadioURL
  private let interface: String
  private let group: any EventLoopGroup
  private let stream = RadioEventStream()

  private struct Open: Sendable {
    var channel: any Channel
    /// For sending; the channel has a copy of its own.
    var descriptor: Int32
  }
  private let current = Mutex<Open?>(nil)

  /// `url` is of the kind ``RadioURL/Target/linux(interface:)``.
  public init(_ url: RadioURL, interface: String, group: any EventLoopGroup) {
    self.url = url
    self.interface = interface
    self.group = group
  }

  public var events: AsyncStream<RadioEvent> { stream.events }
  public var statistics: RadioStatistics { stream.statistics }

  public func open(_ settings: RadioSettings) async throws(RadioError) -> RadioDescription {
    await close()
    stream.restart()
    let found = try find()
    let isMonitor = found.kind == .monitor
    let radio = url.description
    // What only this needs capabilities for: on the thread that has them.
    let descriptor = try PrivilegedThread.shared.run { () throws(RadioError) -> Int32 in
      try LinuxConfiguration(interface: found, radio: radio).apply(settings)
      do throws(LinuxError) {
        let descriptor = try PacketSocket.open(found.index)
        if settings.isPromiscuous { try PacketSocket.makePromiscuous(descriptor, found.index) }
        return descriptor
      } catch { throw LinuxConfiguration.error(error, radio) }
    }
    do {
      let channel = try await read(descriptor, isMonitor: isMonitor, channel: settings.channel)
      current.withLock { $0 = Open(channel: channel, descriptor: descriptor) }
    } catch {
      PacketSocket.close(descriptor)
      throw RadioError(.failed, radio: url.description, detail: "cannot read from the socket: \(error)")
    }
    return RadioDescription(
      capabilities: isMonitor ? [.listensOnly, .promiscuous] : [.acknowledges, .retransmits, .promiscuous],
      name: isMonitor ? "Linux monitor interface \(interface)" : "Linux interface \(interface)",
      hardwareAddress: found.address)
  }

  private func find() throws(RadioError) -> LinuxInterface {
    let found: LinuxInterface
    do { found = try LinuxInterface(named: interface) } catch {
      throw RadioError(
        .notFound, radio: url.description, detail: "there is no interface '\(interface)'",
        remedy: "'pangate radio list' shows what there is; a dongle may not be plugged in")
    }
    guard found.kind != nil else {
      throw RadioError(
        .notSupported, radio: url.description, detail: "'\(interface)' is not an IEEE 802.15.4 interface",
        remedy: "name the wpan interface, not the lowpan one; 'pangate radio list' shows them")
    }
    return found
  }

  private func read(_ descriptor: Int32, isMonitor: Bool, channel number: UInt8) async throws -> any Channel {
    let stream = stream
    let radio = url.description
    let copy = try PacketSocket.duplicate(descriptor)
    return try await NIOPipeBootstrap(group: group)
      // One read is one frame.
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 512))
      .channelOption(.maxMessagesPerRead, value: 16)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            LinuxHandler(stream: stream, radio: radio, isMonitor: isMonitor, channel: number))
        }
      }
      .takingOwnershipOfDescriptor(input: copy).get()
  }

  public func transmit(_ frame: [UInt8]) async -> TransmitOutcome {
    let outcome = current.withLock { open -> TransmitOutcome in
      guard let open else { return .failed }
      do throws(LinuxError) {
        try PacketSocket.send(frame, open.descriptor)
        return .sent
      } catch {
        return error.code == ENOBUFS || error.code == EAGAIN ? .channelAccessFailure : .failed
      }
    }
    stream.count(outcome)
    return outcome
  }

  public func setSourceMatch(_ devices: SourceMatch) async throws(RadioError) {}

  public func close() async {
    let open = current.withLock { current in
      defer { current = nil }
      return current
    }
    guard let open else { return }
    try? await open.channel.close().get()
    PacketSocket.close(open.descriptor)
    stream.finish()
  }
}

/// Reads of the packet socket as frames.
private final class LinuxHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private let stream: RadioEventStream
  private let radio: String
  private let isMonitor: Bool
  private let channel: UInt8

  init(stream: RadioEventStream, radio: String, isMonitor: Bool, channel: UInt8) {
    self.stream = stream
    self.radio = radio
    self.isMonitor = isMonitor
    self.channel = channel
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    let bytes = Array(unwrapInboundIn(data).readableBytesView)
    stream.yield(
      CapturedFrame(
        bytes: bytes,
        metadata: FrameMetadata(
          timestamp: .now, fcsPresent: isMonitor, alreadyDecrypted: !isMonitor, channel: channel)))
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    stream.fail(
      RadioError(
        .gone, radio: radio, detail: "the interface went down or away: \(error)",
        remedy: "the gateway goes on when it is back"))
    context.close(promise: nil)
  }

  func channelInactive(context: ChannelHandlerContext) {
    stream.fail(
      RadioError(.gone, radio: radio, detail: "the interface is gone", remedy: "the gateway goes on when it is back"))
  }
}
