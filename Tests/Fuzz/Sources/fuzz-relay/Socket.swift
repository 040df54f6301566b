import Glibc

/// Stops the process: the input that runs is what the fuzzer was looking for.
func finding(_ text: String) -> Never { fatalError(text) }

/// A blocking TCP socket on loopback. Whatever takes longer than the limit is a finding.
final class Socket {
  /// Milliseconds: shorter than the limit of the fuzzer, longer than anything takes.
  static let limit: Int32 = 8000
  private let descriptor: CInt
  /// What came and was not taken yet.
  private(set) var received: [UInt8] = []
  private var position = 0
  private(set) var isAtEnd = false

  private init(_ descriptor: CInt) {
    self.descriptor = descriptor
    var one: CInt = 1
    setsockopt(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<CInt>.size))
    var time = timeval(tv_sec: Int(Self.limit) / 1000, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  static func connected(to port: Int) -> Socket {
    let descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    var address = loopback(port)
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard descriptor >= 0, result == 0 else { finding("cannot connect: \(errno)") }
    return Socket(descriptor)
  }

  func send(_ bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, bytes.count - sent, CInt(MSG_NOSIGNAL))
      }
      if count < 0 {
        if errno == EINTR { continue }
        guard errno != EAGAIN else { finding("the other side does not read") }
        return
      }
      sent += count
    }
  }

  /// Waits for more; false at the end.
  @discardableResult
  func fill() -> Bool {
    guard !isAtEnd else { return false }
    var chunk = [UInt8](repeating: 0, count: 16_384)
    while true {
      var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let ready = Glibc.poll(&poll, 1, Self.limit)
      if ready < 0, errno == EINTR { continue }
      guard ready > 0 else { finding("the other side neither answers nor closes") }
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        isAtEnd = true
        return false
      }
      if position > 0 {
        received.removeFirst(position)
        position = 0
      }
      received += chunk[..<count]
      return true
    }
  }

  /// What came and was not taken.
  var pending: ArraySlice<UInt8> { received[position...] }

  func drop(_ count: Int) { position += count }

  /// Says no more, and waits until the other side closes.
  func finish() {
    shutdown(descriptor, CInt(SHUT_WR))
    while fill() { drop(pending.count) }
  }
}

/// A listening socket on loopback.
final class ListeningSocket {
  private let descriptor: CInt
  let port: Int

  init() {
    descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
    var address = loopback(0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let result = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && listen(descriptor, 16) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard result else { finding("cannot listen: \(errno)") }
    port = Int(UInt16(bigEndian: address.sin_port))
  }

  func accepted() -> Socket {
    var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard Glibc.poll(&poll, 1, Socket.limit) > 0 else { finding("nobody connects") }
    let descriptor = accept(self.descriptor, nil, nil)
    guard descriptor >= 0 else { finding("cannot accept: \(errno)") }
    return Socket.taking(descriptor)
  }
}

extension Socket {
  static func taking(_ descriptor: CInt) -> Socket { Socket(descriptor) }
}

private func loopback(_ port: Int) -> sockaddr_in {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = UInt16(port).bigEndian
  address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
  return address
}
