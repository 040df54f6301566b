// The only file of this module that holds `unsafe`: loads, stores and copies whose bounds the callers checked.

extension RawSpan {
  /// The first bytes as an integer in host order. Traps if there are fewer.
  @inlinable
  @inline(__always)
  func unaligned<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type) -> T {
    precondition(byteCount >= MemoryLayout<T>.size)
    return unsafe unsafeLoadUnaligned(as: T.self)
  }

  /// The bytes as an array (one allocation).
  @inlinable
  public func array() -> [UInt8] {
    let length = byteCount
    return unsafe [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      unsafe withUnsafeBytes { source in
        if length > 0 { unsafe UnsafeMutableRawBufferPointer(buffer).copyMemory(from: source) }
      }
      count = length
    }
  }

  /// Whether both hold the same bytes. Not constant-time: never for tags.
  @inlinable
  public func elementsEqual(_ other: RawSpan) -> Bool {
    guard byteCount == other.byteCount else { return false }
    for index in 0..<byteCount where self[byteAt: index] != other[byteAt: index] { return false }
    return true
  }

  /// The byte at `index`. Traps outside; callers have checked.
  @inlinable
  public subscript(byteAt index: Int) -> UInt8 {
    @inline(__always) get {
      precondition(index >= 0 && index < byteCount)
      return unsafe unsafeLoad(fromUncheckedByteOffset: index, as: UInt8.self)
    }
  }

  /// Two bytes at `index` in network order. Traps outside; callers have checked.
  @inlinable
  @inline(__always)
  func u16(at index: Int) -> UInt16 {
    precondition(index >= 0 && index &+ 2 <= byteCount)
    return UInt16(bigEndian: unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt16.self))
  }

  /// Four bytes at `index`, host order. Traps outside; callers have checked.
  @inlinable
  @inline(__always)
  func word32(at index: Int) -> UInt32 {
    precondition(index >= 0 && index &+ 4 <= byteCount)
    return unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: index, as: UInt32.self)
  }
}

extension MutableRawSpan {
  /// Stores an integer in host order at `index`. Traps outside; callers have checked.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  mutating func setUnaligned<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at index: Int) {
    precondition(index >= 0 && index &+ MemoryLayout<T>.size <= byteCount)
    unsafe storeBytes(of: value, toUncheckedByteOffset: index, as: T.self)
  }

  /// Copies all of `source` to `index`. Traps if it does not fit; callers have checked.
  ///
  /// The two never overlap: a mutable span is exclusive.
  @inlinable
  @inline(__always)
  @_lifetime(self: copy self)
  public mutating func copy(_ source: RawSpan, at index: Int) {
    precondition(index >= 0 && index &+ source.byteCount <= byteCount)
    unsafe withUnsafeMutableBytes { destination in
      unsafe source.withUnsafeBytes { bytes in
        guard let from = bytes.baseAddress, let to = destination.baseAddress else { return }
        unsafe (to + index).copyMemory(from: from, byteCount: bytes.count)
      }
    }
  }
}

extension Array where Element == UInt8 {
  /// The bytes of the array as a view, without a copy.
  @inlinable
  public var rawSpan: RawSpan {
    @_lifetime(borrow self)
    @inline(__always) get { unsafe span.bytes }
  }

  /// The bytes of the array for writing in place.
  @inlinable
  public var mutableRawSpan: MutableRawSpan {
    @_lifetime(&self)
    @inline(__always) mutating get {
      let storage = unsafe withUnsafeMutableBytes { unsafe $0 }
      let bytes = unsafe MutableRawSpan(_unsafeBytes: storage)
      return unsafe _overrideLifetime(bytes, mutating: &self)
    }
  }
}
