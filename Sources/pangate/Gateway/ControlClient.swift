import Foundation

/// Asks a gateway over its control socket.
enum ControlClient {
  static func ask(_ request: ControlRequest, at path: String) throws -> ControlReply {
    let handle = try connect(path)
    defer { try? handle.close() }
    try handle.write(contentsOf: Data(ControlCoding.encode(request)))
    var line = Data()
    while line.last != 0x0a {
      // What is there; a read of a fixed length would wait for all of it.
      let more = handle.availableData
      guard !more.isEmpty else { break }
      line.append(more)
    }
    guard let reply = ControlCoding.decode(ControlReply.self, Array(line)) else {
      throw Failure.cannotStart("\(path): the gateway's answer cannot be read; is it of another version?")
    }
    if case .error(let text) = reply { throw Failure(description: text, code: Exit.inputErrors) }
    return reply
  }

  private static func connect(_ path: String) throws -> FileHandle {
    let channel = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard channel >= 0 else { throw Failure.cannotStart("\(path): cannot make a socket") }
    let handle = FileHandle(fileDescriptor: channel, closeOnDealloc: true)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < 108 else { throw Failure.usage("\(path): the path of a socket has at most 107 bytes") }
    unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in unsafe target.copyBytes(from: bytes) }
    let result = unsafe withUnsafePointer(to: &address) { pointer in
      unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        unsafe Foundation.connect(channel, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard result == 0 else {
      let why = errno == EACCES ? "this user may not talk to it" : "no gateway answers there"
      throw Failure.cannotStart("\(path): \(why); is 'pangate gateway' running, with this path as 'control'?")
    }
    return handle
  }
}
