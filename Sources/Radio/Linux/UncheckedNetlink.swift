import CNetlink
import IEEE802154

// What is said to the kernel through C interfaces: the only unsafe code of the Linux driver.

/// What the kernel says of an interface.
struct LinuxInterface: Sendable, Hashable {
  /// How frames come: as a station of the PAN, or everything on the channel.
  enum Kind: Sendable, Hashable {
    case station
    case monitor
  }

  var name: String
  var index: Int32
  /// `nil` for one that is no IEEE 802.15.4 interface.
  var kind: Kind?
  var address: ExtendedAddress
  var isUp: Bool

  /// Throws the errno.
  init(named name: String) throws(LinuxError) {
    var (index, type, up): (Int32, Int32, Int32) = (0, 0, 0)
    var bytes = [UInt8](repeating: 0, count: 8)
    let result = unsafe bytes.withUnsafeMutableBufferPointer { address in
      unsafe pangate_interface(name, &index, &type, address.baseAddress, &up)
    }
    guard result == 0 else { throw LinuxError(code: result) }
    self.name = name
    self.index = index
    switch type {
    case PANGATE_ARPHRD_IEEE802154: kind = .station
    case PANGATE_ARPHRD_IEEE802154_MONITOR: kind = .monitor
    default: kind = nil
    }
    address = ExtendedAddress(bytes.reduce(0) { $0 << 8 | UInt64($1) })
    isUp = up != 0
  }
}

/// An errno.
struct LinuxError: Error, Hashable, Sendable, CustomStringConvertible {
  var code: Int32
  var description: String { unsafe String(cString: strerror(code)) }
}

/// A libnl error, positive.
struct NetlinkError: Error, Hashable, Sendable, CustomStringConvertible {
  var code: Int32
  var description: String { unsafe String(cString: nl_geterror(code)) }

  var isPermission: Bool { code == NLE_PERM || code == NLE_NOACCESS }
}

/// A netlink socket.
@safe final class NetlinkSocket {
  private let socket: OpaquePointer
  private var family: Int32 = 0

  /// For rtnetlink, or for nl802154.
  init(genericFamily name: String? = nil) throws(NetlinkError) {
    guard let socket = unsafe nl_socket_alloc() else { throw NetlinkError(code: NLE_NOMEM) }
    unsafe self.socket = socket
    let result = unsafe nl_connect(socket, name == nil ? NETLINK_ROUTE : NETLINK_GENERIC)
    guard result >= 0 else { throw NetlinkError(code: -result) }
    guard let name else { return }
    family = unsafe genl_ctrl_resolve(socket, name)
    guard family >= 0 else { throw NetlinkError(code: -family) }
  }

  deinit { unsafe nl_socket_free(socket) }

  /// Sets an interface up or down, and its address.
  func setLink(_ index: Int32, isUp: Bool, address: ExtendedAddress? = nil) throws(NetlinkError) {
    let bytes = address.map { address in (0..<8).map { UInt8(truncatingIfNeeded: address.value >> (56 - 8 * $0)) } }
    let result: Int32
    if let bytes {
      result = unsafe bytes.withUnsafeBufferPointer { pointer in
        unsafe pangate_link_set(socket, index, isUp ? 1 : 0, pointer.baseAddress)
      }
    } else {
      result = unsafe pangate_link_set(socket, index, isUp ? 1 : 0, nil)
    }
    guard result >= 0 else { throw NetlinkError(code: -result) }
  }

  /// An attribute of a generic netlink message.
  enum Attribute {
    case u8(Int32, UInt8)
    /// Little-endian on the wire, as IEEE 802.15.4 has it.
    case u16LE(Int32, UInt16)
    case s32(Int32, Int32)
  }

  /// Gives a command about an interface and waits until the kernel has acknowledged it.
  func command(
    _ command: pangate_nl802154_command, interface index: Int32, _ attributes: [Attribute]
  ) throws(NetlinkError) {
    guard let message = unsafe nlmsg_alloc() else { throw NetlinkError(code: NLE_NOMEM) }
    var isWhole =
      unsafe genlmsg_put(
        message, 0, 0, family, 0, NLM_F_REQUEST | NLM_F_ACK, UInt8(command.rawValue), 0) != nil
    unsafe isWhole =
      isWhole
      && nla_put_u32(message, Int32(PANGATE_NL802154_ATTR_IFINDEX.rawValue), UInt32(bitPattern: index)) == 0
    for attribute in attributes {
      let result: Int32
      switch attribute {
      case .u8(let type, let value): result = unsafe nla_put_u8(message, type, value)
      case .u16LE(let type, let value): result = unsafe nla_put_u16(message, type, value.littleEndian)
      case .s32(let type, let value): result = unsafe nla_put_u32(message, type, UInt32(bitPattern: value))
      }
      isWhole = isWhole && result == 0
    }
    guard isWhole else {
      unsafe nlmsg_free(message)
      throw NetlinkError(code: NLE_NOMEM)
    }
    let result = unsafe pangate_netlink_run(socket, message)
    guard result >= 0 else { throw NetlinkError(code: -result) }
  }
}

/// A packet socket on one interface.
enum PacketSocket {
  static func open(_ index: Int32) throws(LinuxError) -> Int32 {
    let descriptor = pangate_packet_socket(index)
    guard descriptor >= 0 else { throw LinuxError(code: -descriptor) }
    return descriptor
  }

  static func makePromiscuous(_ descriptor: Int32, _ index: Int32) throws(LinuxError) {
    let result = pangate_packet_promiscuous(descriptor, index)
    guard result == 0 else { throw LinuxError(code: result) }
  }

  static func send(_ frame: [UInt8], _ descriptor: Int32) throws(LinuxError) {
    let result = unsafe frame.withUnsafeBytes { unsafe pangate_packet_send(descriptor, $0.baseAddress, $0.count) }
    guard result == 0 else { throw LinuxError(code: result) }
  }

  static func duplicate(_ descriptor: Int32) throws(LinuxError) -> Int32 {
    let copy = pangate_duplicate(descriptor)
    guard copy >= 0 else { throw LinuxError(code: -copy) }
    return copy
  }

  static func close(_ descriptor: Int32) { CNetlink.close(descriptor) }
}
