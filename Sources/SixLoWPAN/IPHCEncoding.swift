import IPv6
import Wire

/// The twin of ``IPHCHeader``: the shortest IPHC for a header whose address forms are chosen.
struct IPHCEncoding {
  private let header: IPv6Header
  private let forms: AddressForms
  private let nextHeaderIsCompressed: Bool

  init(_ header: IPv6Header, _ forms: AddressForms, nextHeaderIsCompressed: Bool) {
    self.header = header
    self.forms = forms
    self.nextHeaderIsCompressed = nextHeaderIsCompressed
  }

  /// TF: 3 both elided, 2 traffic class, 1 ECN and flow label, 0 both in-line (RFC 6282, 3.1.1).
  private var trafficForm: UInt16 {
    if header.flowLabel == 0 { return header.trafficClass == 0 ? 3 : 2 }
    return header.dscp == 0 ? 1 : 0
  }

  private var hopLimitForm: UInt16 {
    switch header.hopLimit {
    case 1: 1
    case 64: 2
    case 255: 3
    default: 0
    }
  }

  @_lifetime(writer: copy writer)
  func emit(into writer: inout ByteWriter) throws(EmitError) {
    var encoding = 0x6000 | trafficForm << 11 | hopLimitForm << 8
    if nextHeaderIsCompressed { encoding |= 0x400 }
    if forms.needsIdentifiers { encoding |= 0x80 }
    try writer.u16(encoding | forms.source.mode << 4 | forms.destination.mode)
    if forms.needsIdentifiers { try writer.u8(forms.source.context << 4 | forms.destination.context) }
    // ECN comes first in the compressed form (3.2.1).
    let rotated = header.ecn << 6 | header.dscp
    switch trafficForm {
    case 0: try writer.u32(UInt32(rotated) << 24 | header.flowLabel)
    case 1:
      try writer.u8(header.ecn << 6 | UInt8(header.flowLabel >> 16))
      try writer.u16(UInt16(header.flowLabel & 0xffff))
    case 2: try writer.u8(rotated)
    default: break
    }
    if !nextHeaderIsCompressed { try writer.u8(header.nextHeader.rawValue) }
    if hopLimitForm == 0 { try writer.u8(header.hopLimit) }
    try forms.source.emit(header.source, into: &writer)
    try forms.destination.emit(header.destination, into: &writer)
  }
}
