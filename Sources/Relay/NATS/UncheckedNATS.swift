// With UncheckedNATSMessage.swift, the only files of this module that hold `unsafe`: the calls of libnats, whose handles,
// buffers and callbacks stay in here.

import CNATS
import Queue
import Synchronization
import Wire

/// How a connection is made.
struct NATSConnectionOptions: Sendable {
  var name: String
  var servers: [String]
  var credentials: String?
  var authorities: String?
  var certificate: (chain: String, key: String)?
  var connectTimeout: Duration
  var writeTimeout: Duration
  var reconnectWait: Duration
}

/// A connection that reconnects for ever, with what libnats calls back.
///
/// libnats' threads know whom they call by a number, which they look up: a call that comes late finds nobody.
@safe
final class NATSConnection: Sendable {
  private nonisolated(unsafe) let handle: OpaquePointer
  private let id: UInt
  private let isClosed = Mutex(false)

  /// Connects, or throws after the timeout. `changed` is told when the connection is lost and when it is made again.
  init(_ options: NATSConnectionOptions, changed: @escaping @Sendable (Bool) -> Void) throws(StoreError) {
    let id = callbacks.withLock { $0.add(.connection(changed)) }
    var handle: OpaquePointer?
    let status = unsafe connect(options, id: id, &handle)
    guard status == NATS_OK, let handle = unsafe handle else {
      callbacks.withLock { $0.remove(id) }
      throw StoreError(nats: status, doing: "connecting", to: options.servers)
    }
    unsafe self.handle = handle
    self.id = id
  }

  deinit {
    close()
    unsafe natsConnection_Destroy(handle)
  }

  /// Nothing is called back from here on, but for calls that are under way.
  func close() {
    let wasClosed = isClosed.withLock { closed in
      defer { closed = true }
      return closed
    }
    guard !wasClosed else { return }
    callbacks.withLock { $0.remove(id) }
    unsafe natsConnection_Close(handle)
  }

  var isConnected: Bool { unsafe natsConnection_Status(handle) == NATS_CONN_STATUS_CONNECTED }

  /// The largest payload that the server takes.
  var maximumPayload: Int { Int(unsafe natsConnection_GetMaxPayload(handle)) }

  /// Hands a message to the connection, which sends it in a millisecond or with the next flush; it may still be lost.
  func publish(_ message: NATSRequest, reply: String? = nil) throws(StoreError) {
    var native: OpaquePointer?
    var status = unsafe message.bytes.withUnsafeBytes { buffer in
      unsafe natsMsg_Create(
        &native, message.subject, reply, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(buffer.count))
    }
    defer { unsafe natsMsg_Destroy(native) }
    for (header, value) in message.headers where status == NATS_OK {
      status = unsafe natsMsgHeader_Set(native, header.rawValue, value)
    }
    if status == NATS_OK { status = unsafe natsConnection_PublishMsg(handle, native) }
    guard status == NATS_OK else { throw StoreError(nats: status, doing: "publishing", to: [message.subject]) }
  }

  /// Calls `handler` on a thread of libnats for each message, in order, until the subscription ends.
  func subscribe(
    _ subject: String, _ handler: @escaping @Sendable (NATSMessage) -> Void
  ) throws(StoreError) -> NATSSubscription {
    let id = callbacks.withLock { $0.add(.subscription(handler)) }
    var subscription: OpaquePointer?
    let status = unsafe natsConnection_Subscribe(
      &subscription, handle, subject, messageArrived, UnsafeMutableRawPointer(bitPattern: id))
    guard status == NATS_OK, let subscription = unsafe subscription else {
      callbacks.withLock { $0.remove(id) }
      throw StoreError(nats: status, doing: "subscribing", to: [subject])
    }
    // What may wait here is bounded by whoever sends: replies to requests, and unconfirmed messages.
    _ = unsafe natsSubscription_SetPendingLimits(subscription, -1, -1)
    return unsafe NATSSubscription(handle: subscription, id: id)
  }

  /// Waits until the server has seen everything that was handed over before, such as subscriptions.
  func flush(_ timeout: Duration) throws(StoreError) {
    let status = unsafe natsConnection_FlushTimeout(handle, timeout.wholeMilliseconds)
    guard status == NATS_OK else { throw StoreError(nats: status, doing: "flushing", to: []) }
  }
}

/// Interest in a subject, which ends with it.
@safe
final class NATSSubscription: Sendable {
  private nonisolated(unsafe) let handle: OpaquePointer
  private let id: UInt

  fileprivate init(handle: OpaquePointer, id: UInt) {
    unsafe self.handle = handle
    self.id = id
  }

  deinit {
    callbacks.withLock { $0.remove(id) }
    // Fails if the connection is closed, which ended it before. libnats keeps what callbacks under way still use.
    _ = unsafe natsSubscription_Unsubscribe(handle)
    unsafe natsSubscription_Destroy(handle)
  }
}

extension Duration {
  /// At least 1, since 0 means something else to libnats.
  fileprivate var wholeMilliseconds: Int64 { max(1, wholeMicroseconds / 1000) }
}

// MARK: Callbacks

/// Whom libnats calls, by number.
private struct Callbacks {
  enum Callback {
    case connection(@Sendable (Bool) -> Void)
    case subscription(@Sendable (NATSMessage) -> Void)
  }

  private var known: [UInt: Callback] = [:]
  private var last: UInt = 0

  mutating func add(_ callback: Callback) -> UInt {
    last += 1
    known[last] = callback
    return last
  }

  mutating func remove(_ id: UInt) { known[id] = nil }

  subscript(id: UInt) -> Callback? { known[id] }
}

private let callbacks = Mutex(Callbacks())

private func messageArrived(
  _: OpaquePointer?, _: OpaquePointer?, message: OpaquePointer?, context: UnsafeMutableRawPointer?
) {
  guard let message = unsafe message else { return }
  let taken = unsafe NATSMessage(taking: message)
  let id = UInt(bitPattern: context)
  guard case .subscription(let handler)? = callbacks.withLock({ $0[id] }) else { return }
  handler(taken)
}

private func connectionChanged(_ isUp: Bool, _ context: UnsafeMutableRawPointer?) {
  let id = UInt(bitPattern: context)
  guard case .connection(let changed)? = callbacks.withLock({ $0[id] }) else { return }
  changed(isUp)
}

// MARK: Options

private func connect(_ options: NATSConnectionOptions, id: UInt, _ handle: inout OpaquePointer?) -> natsStatus {
  var native: OpaquePointer?
  var status = unsafe natsOptions_Create(&native)
  defer { unsafe natsOptions_Destroy(native) }
  let context = unsafe UnsafeMutableRawPointer(bitPattern: id)
  // Each step is left out once one has failed.
  func then(_ step: () -> natsStatus) { if status == NATS_OK { status = step() } }

  then { unsafe setServers(native, options.servers) }
  then { unsafe natsOptions_SetName(native, options.name) }
  then { unsafe natsOptions_SetTimeout(native, options.connectTimeout.wholeMilliseconds) }
  then { unsafe natsOptions_SetWriteDeadline(native, options.writeTimeout.wholeMilliseconds) }
  // For ever, and nothing is kept meanwhile that a caller has given up.
  then { unsafe natsOptions_SetMaxReconnect(native, -1) }
  then { unsafe natsOptions_SetReconnectWait(native, options.reconnectWait.wholeMilliseconds) }
  then { unsafe natsOptions_SetReconnectBufSize(native, 1) }
  then { unsafe natsOptions_SetPingInterval(native, 2_000) }
  then { unsafe natsOptions_SetMaxPingsOut(native, 3) }
  // One thread for all mailboxes, not one for each.
  then { unsafe natsOptions_UseGlobalMessageDelivery(native, true) }
  // Replies to what was published come here as well: they must not be taken for messages of the application's.
  then { unsafe natsOptions_SetDisconnectedCB(native, { unsafe connectionChanged(false, $1) }, context) }
  then { unsafe natsOptions_SetReconnectedCB(native, { unsafe connectionChanged(true, $1) }, context) }
  then { unsafe natsOptions_SetErrorHandler(native, { _, _, _, _ in }, nil) }
  if let file = options.credentials {
    then { unsafe natsOptions_SetUserCredentialsFromFiles(native, file, nil) }
  }
  if let file = options.authorities {
    then { unsafe natsOptions_SetSecure(native, true) }
    then { unsafe natsOptions_LoadCATrustedCertificates(native, file) }
  }
  if let (chain, key) = options.certificate {
    then { unsafe natsOptions_SetSecure(native, true) }
    then { unsafe natsOptions_LoadCertificatesChain(native, chain, key) }
  }
  then { unsafe natsConnection_Connect(&handle, native) }
  return status
}

/// libnats copies the strings.
private func setServers(_ options: OpaquePointer?, _ servers: [String]) -> natsStatus {
  let copies = unsafe servers.map { unsafe strdup($0) }
  defer { for index in servers.indices { unsafe free(copies[index]) } }
  var pointers = unsafe copies.map { unsafe UnsafePointer($0) }
  return unsafe natsOptions_SetServers(options, &pointers, Int32(servers.count))
}

extension StoreError {
  /// What a status of libnats means.
  fileprivate init(nats status: natsStatus, doing what: String, to whom: [String]) {
    let text = unsafe natsStatus_GetText(status).map { unsafe String(cString: $0) } ?? "status \(status.rawValue)"
    let detail = "NATS, \(what): \(text)"
    self.init(
      status == NATS_CONNECTION_CLOSED ? .closed : .failed, path: whom.isEmpty ? nil : whom.joined(separator: ", "),
      detail: detail)
  }
}
